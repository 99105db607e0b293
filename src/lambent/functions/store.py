"""Rows of functions, versions, attachments and version counters.

A version is one JSON document in `record`; the columns beside it are what SQL asks for. `serving` is what invocations
of `$LATEST` still get while an update is in progress, or after it failed; null when that is the record itself.
Environment variables are sealed in the document; only what a caller of this module gets has them in plain text.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    insert,
    or_,
    select,
    update,
)

from lambent.functions.documents import KINDS, decode_attachment, decode_version, encode, encode_version
from lambent.functions.records import (
    LATEST,
    Attachment,
    AttachmentKey,
    CodeSigning,
    Function,
    FunctionKey,
    FunctionVersion,
    ProvisionedConcurrency,
    ReservedConcurrency,
)
from lambent.functions.tables import attachments, counters, functions, versions

_PLAIN_VARIABLES: Final = or_(*(versions.c[name].like('%"variables":{"%') for name in ("record", "serving")))

_KIND_OF: Final = {record: kind for kind, record in KINDS.items()}


def load(connection: Connection, key: FunctionKey) -> Function | None:
    """The function without its published versions; None when it does not exist."""
    row = connection.execute(
        select(functions.c.tags, versions.c.record, versions.c.serving)
        .join_from(functions, versions)
        .where(_is(functions, key), versions.c.version == LATEST)
    ).first()
    if row is None:
        return None
    return Function(
        latest=decode_version(connection, row.record),
        serving=row.serving and decode_version(connection, row.serving),
        tags=msgspec.json.decode(row.tags),
        attachments=load_attachments(connection, key),
    )


def load_attachments(connection: Connection, key: FunctionKey) -> dict[AttachmentKey, Attachment]:
    rows = connection.execute(select(attachments).where(_is(attachments, key)))
    return {(KINDS[row.kind], row.qualifier): decode_attachment(row.kind, row.record) for row in rows}


def taken_by_others(connection: Connection, key: FunctionKey) -> int:
    """What all other functions of the account and region have reserved, or provisioned without a reservation."""
    kinds = _KIND_OF[ReservedConcurrency], _KIND_OF[ProvisionedConcurrency]
    rows = connection.execute(
        select(attachments).where(
            attachments.c.account == key.account,
            attachments.c.region == key.region,
            attachments.c.name != key.name,
            attachments.c.kind.in_(kinds),
        )
    )
    reserved: dict[str, int] = {}
    provisioned: dict[str, int] = {}
    for row in rows:
        match decode_attachment(row.kind, row.record):
            case ReservedConcurrency(executions):
                reserved[row.name] = executions
            case ProvisionedConcurrency(executions):
                provisioned[row.name] = provisioned.get(row.name, 0) + executions
    return sum((provisioned | reserved).values())


def signed_by(connection: Connection, account: str, region: str, config_arn: str) -> bool:
    """Whether a function of the account and region has this code signing configuration."""
    rows = connection.execute(
        select(attachments.c.record).where(
            attachments.c.account == account,
            attachments.c.region == region,
            attachments.c.kind == _KIND_OF[CodeSigning],
        )
    )
    return any(decode_attachment(_KIND_OF[CodeSigning], row.record) == CodeSigning(config_arn) for row in rows)


def newest_published(connection: Connection, key: FunctionKey) -> FunctionVersion | None:
    record = connection.execute(
        select(versions.c.record)
        .where(_is(versions, key), versions.c.number > 0)
        .order_by(versions.c.number.desc())
        .limit(1)
    ).scalar()
    return None if record is None else decode_version(connection, record)


def load_version(connection: Connection, key: FunctionKey, version: str) -> FunctionVersion | None:
    record = connection.execute(
        select(versions.c.record).where(_is(versions, key), versions.c.version == version)
    ).scalar()
    return None if record is None else decode_version(connection, record)


def load_all(connection: Connection) -> list[Function]:
    """Everything, for the start."""
    tags = {
        FunctionKey(row.account, row.region, row.name): msgspec.json.decode(row.tags)
        for row in connection.execute(select(functions))
    }
    latest: dict[FunctionKey, tuple[FunctionVersion, FunctionVersion | None]] = {}
    published: dict[FunctionKey, dict[str, FunctionVersion]] = {}
    for row in connection.execute(select(versions).order_by(versions.c.number)):
        key = FunctionKey(row.account, row.region, row.name)
        if row.version == LATEST:
            latest[key] = (
                decode_version(connection, row.record),
                row.serving and decode_version(connection, row.serving),
            )
        else:
            published.setdefault(key, {})[row.version] = decode_version(connection, row.record)
    attached: dict[FunctionKey, dict[AttachmentKey, Attachment]] = {}
    for row in connection.execute(select(attachments)):
        key = FunctionKey(row.account, row.region, row.name)
        attached.setdefault(key, {})[KINDS[row.kind], row.qualifier] = decode_attachment(row.kind, row.record)
    return [
        Function(
            latest=record,
            serving=serving,
            published=published.get(key, {}),
            tags=tags[key],
            attachments=attached.get(key, {}),
        )
        for key, (record, serving) in latest.items()
    ]


def create(connection: Connection, version: FunctionVersion, tags: Mapping[str, str]) -> None:
    """A new name with its `$LATEST`."""
    connection.execute(insert(functions).values(**version.key._asdict(), tags=encode(dict(tags))))
    connection.execute(insert(versions).values(**_row(connection, version, None)))


def put_latest(connection: Connection, version: FunctionVersion, serving: FunctionVersion | None) -> None:
    connection.execute(update(versions).where(_is_version(version)).values(**_row(connection, version, serving)))


def put_published(connection: Connection, version: FunctionVersion) -> None:
    connection.execute(update(versions).where(_is_version(version)).values(**_row(connection, version, None)))


def add_published(connection: Connection, version: FunctionVersion) -> None:
    connection.execute(insert(versions).values(**_row(connection, version, None)))


def put_tags(connection: Connection, key: FunctionKey, tags: Mapping[str, str]) -> None:
    connection.execute(update(functions).where(_is(functions, key)).values(tags=encode(dict(tags))))


def put_attachment(connection: Connection, key: FunctionKey, qualifier: str, record: Attachment) -> None:
    """New, or in place of the one of the same kind and qualifier."""
    kind = _KIND_OF[type(record)]
    changed = connection.execute(
        update(attachments).where(_is_attachment(key, kind, qualifier)).values(record=encode(record))
    )
    if changed.rowcount == 0:
        row = {**key._asdict(), "kind": kind, "qualifier": qualifier, "record": encode(record)}
        connection.execute(insert(attachments).values(**row))


def remove_attachment(connection: Connection, key: FunctionKey, kind: type[Attachment], qualifier: str = "") -> bool:
    """Whether there was one."""
    gone = connection.execute(delete(attachments).where(_is_attachment(key, _KIND_OF[kind], qualifier)))
    return gone.rowcount > 0


def remove(connection: Connection, key: FunctionKey) -> None:
    """The name and all its versions. The counter stays: numbers are never used twice."""
    connection.execute(delete(functions).where(_is(functions, key)))


def remove_version(connection: Connection, key: FunctionKey, version: str) -> bool:
    gone = connection.execute(delete(versions).where(_is(versions, key), versions.c.version == version))
    return gone.rowcount > 0


def remove_everything(connection: Connection) -> None:
    for table in (attachments, versions, functions, counters):
        connection.execute(delete(table))


def holds_plain_variables(connection: Connection) -> bool:
    return connection.execute(select(versions.c.name).where(_PLAIN_VARIABLES).limit(1)).first() is not None


def seal_variables(connection: Connection) -> None:
    """Write records anew whose variables are in plain text, as they were before they were sealed."""
    rows = connection.execute(select(versions).where(_PLAIN_VARIABLES)).all()
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # Else the old text stays in the pages that the rows leave.
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    for row in rows:
        version = decode_version(connection, row.record)
        serving = row.serving and decode_version(connection, row.serving)
        connection.execute(update(versions).where(_is_version(version)).values(**_row(connection, version, serving)))
    if sqlite:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")


def next_number(connection: Connection, key: FunctionKey) -> int:
    """Count one version up for the name, also over its deletion."""
    counted = connection.execute(
        update(counters).where(_is(counters, key)).values(last_version=counters.c.last_version + 1)
    )
    if counted.rowcount == 0:
        connection.execute(insert(counters).values(**key._asdict(), last_version=1))
        return 1
    return int(connection.execute(select(counters.c.last_version).where(_is(counters, key))).scalar_one())


def _is(table: Table, key: FunctionKey) -> ColumnElement[bool]:
    return and_(table.c.account == key.account, table.c.region == key.region, table.c.name == key.name)


def _is_version(version: FunctionVersion) -> ColumnElement[bool]:
    return and_(_is(versions, version.key), versions.c.version == version.version)


def _is_attachment(key: FunctionKey, kind: str, qualifier: str) -> ColumnElement[bool]:
    return and_(_is(attachments, key), attachments.c.kind == kind, attachments.c.qualifier == qualifier)


def _row(connection: Connection, version: FunctionVersion, serving: FunctionVersion | None) -> dict[str, Any]:
    return {
        **version.key._asdict(),
        "version": version.version,
        "number": 0 if version.version == LATEST else int(version.version),
        "record": encode_version(connection, version),
        "serving": None if serving is None else encode_version(connection, serving),
    }
