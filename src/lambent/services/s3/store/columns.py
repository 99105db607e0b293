"""Between records and their columns: keys as bytes, details and state as JSON text without what is empty."""

from typing import Any

import orjson
from sqlalchemy import Row

from lambent.services.s3.records import Details, MultipartUpload, ObjectVersion, Part, State


def key_bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def key_text(key: bytes) -> str:
    return bytes(key).decode("utf-8", "surrogateescape")


def details_text(details: Details) -> str:
    return _text(
        h=details.headers, m=details.metadata, c=details.checksums, t=details.checksum_type, e=details.encryption
    )


def details_of(text: str) -> Details:
    if text == "{}":
        return Details()
    found = orjson.loads(text)
    return Details(
        headers=found.get("h", {}),
        metadata=found.get("m", {}),
        checksums=found.get("c", {}),
        checksum_type=found.get("t", ""),
        encryption=found.get("e", {}),
    )


def state_text(state: State) -> str:
    return _text(
        tags=state.tags,
        mode=state.lock_mode,
        until=state.lock_until_ms,
        hold=state.hold,
        restored=state.restored_until_ms,
        acl=state.acl,
    )


def state_of(text: str) -> State:
    if text == "{}":
        return State()
    found = orjson.loads(text)
    return State(
        tags=found.get("tags", {}),
        lock_mode=found.get("mode", ""),
        lock_until_ms=found.get("until", 0),
        hold=found.get("hold", False),
        restored_until_ms=found.get("restored", 0),
        acl=found.get("acl", ""),
    )


def version_of(row: Row[Any]) -> ObjectVersion:
    return ObjectVersion(
        bucket_id=row.bucket_id,
        key=key_text(row.key),
        version_id=row.version,
        sequence=row.sequence,
        latest=bool(row.latest),
        marker=bool(row.marker),
        modified_ms=row.modified_ms,
        noncurrent_ms=row.noncurrent_ms,
        size=row.size,
        etag=row.etag,
        storage_class=row.storage_class,
        file=row.file,
        upload=row.upload,
        parts=row.parts,
        details=details_of(row.details),
        state=state_of(row.state),
    )


def version_columns(version: ObjectVersion) -> dict[str, Any]:
    return {
        "sequence": version.sequence,
        "bucket_id": version.bucket_id,
        "key": key_bytes(version.key),
        "version": version.version_id,
        "latest": int(version.latest),
        "marker": int(version.marker),
        "modified_ms": version.modified_ms,
        "noncurrent_ms": version.noncurrent_ms,
        "size": version.size,
        "etag": version.etag,
        "storage_class": version.storage_class,
        "file": version.file,
        "upload": version.upload,
        "parts": version.parts,
        "details": details_text(version.details),
        "state": state_text(version.state),
    }


def upload_of(row: Row[Any]) -> MultipartUpload:
    more = orjson.loads(row.details)
    return MultipartUpload(
        id=row.upload,
        bucket_id=row.bucket_id,
        key=key_text(row.key),
        sequence=row.sequence,
        initiated_ms=row.initiated_ms,
        details=details_of(more["details"]),
        state=state_of(more["state"]),
        storage_class=more["storage_class"],
        algorithm=more["algorithm"],
        initiator=more["initiator"],
        completed=row.completed,
    )


def upload_columns(upload: MultipartUpload) -> dict[str, Any]:
    details = {
        "details": details_text(upload.details),
        "state": state_text(upload.state),
        "storage_class": upload.storage_class,
        "algorithm": upload.algorithm,
        "initiator": upload.initiator,
    }
    return {
        "upload": upload.id,
        "bucket_id": upload.bucket_id,
        "key": key_bytes(upload.key),
        "sequence": upload.sequence,
        "initiated_ms": upload.initiated_ms,
        "details": orjson.dumps(details).decode(),
        "completed": upload.completed,
    }


def part_of(row: Row[Any]) -> Part:
    return Part(
        number=row.number,
        file=row.file,
        size=row.size,
        etag=row.etag,
        modified_ms=row.modified_ms,
        checksums=orjson.loads(row.checksums),
    )


def _text(**members: Any) -> str:
    return orjson.dumps({name: value for name, value in members.items() if value}).decode()
