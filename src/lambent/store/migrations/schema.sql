CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE functions (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	tags TEXT NOT NULL,
	PRIMARY KEY (account, region, name)
);

CREATE TABLE function_versions (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	version VARCHAR(16) NOT NULL,
	number INTEGER NOT NULL,
	record TEXT NOT NULL,
	serving TEXT,
	PRIMARY KEY (account, region, name, version),
	FOREIGN KEY(account, region, name) REFERENCES functions (account, region, name) ON DELETE CASCADE
);

CREATE TABLE function_counters (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	last_version INTEGER NOT NULL,
	PRIMARY KEY (account, region, name)
);

CREATE TABLE log_groups (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(512) NOT NULL,
	created_ms BIGINT NOT NULL,
	retention_days INTEGER,
	tags TEXT NOT NULL,
	stored_bytes BIGINT NOT NULL,
	UNIQUE (account, region, name)
);

CREATE TABLE log_streams (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	group_id INTEGER NOT NULL,
	name VARCHAR(512) NOT NULL,
	created_ms BIGINT NOT NULL,
	lazy INTEGER NOT NULL,
	first_event_ms BIGINT,
	last_event_ms BIGINT,
	last_ingestion_ms BIGINT,
	UNIQUE (group_id, name)
);

CREATE TABLE log_chunks (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	group_id INTEGER NOT NULL,
	stream_id INTEGER NOT NULL,
	first_ms BIGINT NOT NULL,
	last_ms BIGINT NOT NULL,
	last_sequence BIGINT NOT NULL,
	ingested_ms BIGINT,
	raw_bytes INTEGER NOT NULL,
	disk_bytes INTEGER NOT NULL,
	body BLOB NOT NULL
);

CREATE INDEX log_chunks_by_first ON log_chunks (group_id, first_ms, last_ms, stream_id);

CREATE INDEX log_chunks_by_last ON log_chunks (group_id, last_ms, first_ms, stream_id);

CREATE INDEX log_chunks_by_stream ON log_chunks (stream_id, disk_bytes);

CREATE TABLE log_garbage (
	stream_id INTEGER NOT NULL,
	PRIMARY KEY (stream_id)
);

CREATE TABLE function_attachments (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	qualifier VARCHAR(128) NOT NULL,
	record TEXT NOT NULL,
	PRIMARY KEY (account, region, name, kind, qualifier),
	FOREIGN KEY(account, region, name) REFERENCES functions (account, region, name) ON DELETE CASCADE
);

CREATE TABLE layer_versions (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(140) NOT NULL,
	number INTEGER NOT NULL,
	record TEXT NOT NULL,
	PRIMARY KEY (account, region, name, number)
);

CREATE TABLE layer_counters (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(140) NOT NULL,
	last_number INTEGER NOT NULL,
	PRIMARY KEY (account, region, name)
);

CREATE TABLE event_source_mappings (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	uuid VARCHAR(36) NOT NULL,
	function_name VARCHAR(140) NOT NULL,
	record TEXT NOT NULL,
	sealed_filters TEXT,
	PRIMARY KEY (account, region, uuid)
);

CREATE INDEX event_source_mappings_by_function ON event_source_mappings (account, region, function_name);

CREATE TABLE code_signing_configs (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	config_id VARCHAR(32) NOT NULL,
	record TEXT NOT NULL,
	PRIMARY KEY (account, region, config_id)
);

CREATE TABLE iam_writes (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	moment FLOAT NOT NULL,
	sealed TEXT NOT NULL
);

CREATE TABLE iam_gone_keys (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	access_key_id VARCHAR(128) NOT NULL
);

CREATE TABLE sts_sessions (
	access_key_id VARCHAR(20) NOT NULL,
	account VARCHAR(12) NOT NULL,
	arn TEXT NOT NULL,
	user_id TEXT NOT NULL,
	expires FLOAT NOT NULL,
	PRIMARY KEY (access_key_id)
);

CREATE TABLE queue_messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	queue VARCHAR(32) NOT NULL,
	lane VARCHAR(160) NOT NULL,
	visible_ms BIGINT NOT NULL,
	takes INTEGER NOT NULL,
	taken_by VARCHAR(36),
	state TEXT NOT NULL,
	body BLOB NOT NULL,
	size INTEGER NOT NULL
, group_id VARCHAR(128), sent_ms BIGINT, first_ms BIGINT);

CREATE INDEX queue_messages_visible ON queue_messages (queue, lane, visible_ms);

CREATE TABLE billing_usage (
	span VARCHAR(8) NOT NULL,
	start_ms BIGINT NOT NULL,
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	function VARCHAR(64) NOT NULL,
	version VARCHAR(16) NOT NULL,
	architecture VARCHAR(16) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	tenant VARCHAR(256) NOT NULL,
	invocations BIGINT NOT NULL,
	requests BIGINT NOT NULL,
	errors BIGINT NOT NULL,
	billed_ms BIGINT NOT NULL,
	memory_mb_ms BIGINT NOT NULL,
	storage_mb_ms BIGINT NOT NULL,
	streamed_bytes BIGINT NOT NULL,
	restored_mb BIGINT NOT NULL,
	tenant_mb BIGINT NOT NULL,
	PRIMARY KEY (span, start_ms, account, region, function, version, architecture, kind, tenant)
);

CREATE TABLE billing_budgets (
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	function VARCHAR(64) NOT NULL,
	amount VARCHAR(32) NOT NULL,
	stop INTEGER NOT NULL,
	PRIMARY KEY (account, region, function)
);

CREATE INDEX queue_messages_recorded ON queue_messages (queue, lane, id, sent_ms) WHERE sent_ms IS NOT NULL;

CREATE TABLE sqs_queues (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(80) NOT NULL,
	fifo INTEGER NOT NULL,
	by_group INTEGER NOT NULL,
	attributes TEXT NOT NULL,
	tags TEXT NOT NULL,
	created_ms BIGINT NOT NULL,
	modified_ms BIGINT NOT NULL,
	purged_ms BIGINT,
	floor BIGINT NOT NULL,
	UNIQUE (account, region, name)
);

CREATE TABLE sqs_gone (
	id INTEGER NOT NULL,
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	name VARCHAR(80) NOT NULL,
	deleted_ms BIGINT NOT NULL,
	PRIMARY KEY (id)
);

CREATE TABLE sqs_deduplications (
	queue_id INTEGER NOT NULL,
	"key" BLOB NOT NULL,
	message_id VARCHAR(36) NOT NULL,
	sequence BIGINT NOT NULL,
	until_ms BIGINT NOT NULL,
	PRIMARY KEY (queue_id, "key")
);

CREATE INDEX sqs_deduplications_until ON sqs_deduplications (until_ms);

CREATE TABLE sqs_moves (
	id VARCHAR(36) NOT NULL,
	source_arn VARCHAR(160) NOT NULL,
	destination_arn VARCHAR(160),
	rate INTEGER,
	status VARCHAR(16) NOT NULL,
	moved BIGINT NOT NULL,
	to_move BIGINT NOT NULL,
	started_ms BIGINT NOT NULL,
	failure TEXT,
	PRIMARY KEY (id)
);

CREATE TABLE s3_buckets (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name VARCHAR(63) NOT NULL,
	account VARCHAR(12) NOT NULL,
	region VARCHAR(32) NOT NULL,
	constraint_name VARCHAR(32) NOT NULL,
	created_ms BIGINT NOT NULL,
	versioning VARCHAR(9) NOT NULL,
	ownership VARCHAR(24) NOT NULL,
	locked INTEGER NOT NULL,
	UNIQUE (name)
);

CREATE TABLE s3_versions (
	sequence INTEGER NOT NULL,
	bucket_id INTEGER NOT NULL,
	"key" BLOB NOT NULL,
	version VARCHAR(32) NOT NULL,
	latest INTEGER NOT NULL,
	marker INTEGER NOT NULL,
	modified_ms BIGINT NOT NULL,
	noncurrent_ms BIGINT,
	size BIGINT NOT NULL,
	etag VARCHAR(40) NOT NULL,
	storage_class VARCHAR(24) NOT NULL,
	file VARCHAR(16),
	upload VARCHAR(64),
	parts INTEGER NOT NULL,
	details TEXT NOT NULL,
	state TEXT NOT NULL,
	PRIMARY KEY (sequence)
);

CREATE INDEX s3_versions_by_key ON s3_versions (bucket_id, "key", sequence);

CREATE INDEX s3_versions_current ON s3_versions (bucket_id, latest, "key");

CREATE INDEX s3_versions_by_file ON s3_versions (file);

CREATE TABLE s3_uploads (
	upload VARCHAR(64) NOT NULL,
	sequence BIGINT NOT NULL,
	bucket_id INTEGER NOT NULL,
	"key" BLOB NOT NULL,
	initiated_ms BIGINT NOT NULL,
	details TEXT NOT NULL,
	completed TEXT,
	PRIMARY KEY (upload)
);

CREATE INDEX s3_uploads_by_key ON s3_uploads (bucket_id, "key", sequence);

CREATE TABLE s3_parts (
	upload VARCHAR(64) NOT NULL,
	number INTEGER NOT NULL,
	file VARCHAR(16),
	size BIGINT NOT NULL,
	etag VARCHAR(40) NOT NULL,
	modified_ms BIGINT NOT NULL,
	checksums TEXT NOT NULL,
	PRIMARY KEY (upload, number)
);

CREATE INDEX s3_parts_by_file ON s3_parts (file);

CREATE TABLE s3_configs (
	bucket_id INTEGER NOT NULL,
	kind VARCHAR(24) NOT NULL,
	id VARCHAR(64) NOT NULL,
	document TEXT NOT NULL,
	PRIMARY KEY (bucket_id, kind, id)
);

INSERT INTO alembic_version (version_num) VALUES ('0012')
