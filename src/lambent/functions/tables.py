"""Tables of functions, versions, attachments and version counters. Columns beside a document are what SQL asks for."""

from sqlalchemy import Column, ForeignKeyConstraint, Integer, MetaData, String, Table, Text

metadata = MetaData()

functions = Table(
    "functions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("tags", Text, nullable=False),
)

versions = Table(
    "function_versions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", String(16), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("record", Text, nullable=False),
    Column("serving", Text, nullable=True),
    ForeignKeyConstraint(
        ["account", "region", "name"], ["functions.account", "functions.region", "functions.name"], ondelete="CASCADE"
    ),
)

attachments = Table(
    "function_attachments",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("qualifier", String(128), primary_key=True),
    Column("record", Text, nullable=False),
    ForeignKeyConstraint(
        ["account", "region", "name"], ["functions.account", "functions.region", "functions.name"], ondelete="CASCADE"
    ),
)

counters = Table(
    "function_counters",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("last_version", Integer, nullable=False),
)
