"""PublishLayerVersion, GetLayerVersion, GetLayerVersionByArn, ListLayers, ListLayerVersions and DeleteLayerVersion."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection

from lambent.aws.errors import ApiError, invalid_parameter, not_found
from lambent.aws.service import CallContext, Operations, Parameters, Result
from lambent.functions.api.code import accepted, archive_of, check_source
from lambent.functions.api.parts import Parts, check_storage, page, to_its_end
from lambent.functions.api.shapes import package_sha256, signing, timestamp
from lambent.functions.archive import Content
from lambent.functions.layers import store
from lambent.functions.layers.access import check_number, located, usable
from lambent.functions.layers.catalog import LayerChange
from lambent.functions.layers.records import LayerKey, LayerVersion, parse_arn

_NEWEST_FIRST: Final = 10**10


def operations(parts: Parts) -> Operations:
    return {
        "PublishLayerVersion": partial(publish_layer_version, parts),
        "GetLayerVersion": partial(get_layer_version, parts),
        "GetLayerVersionByArn": partial(get_layer_version_by_arn, parts),
        "ListLayers": partial(list_layers, parts),
        "ListLayerVersions": partial(list_layer_versions, parts),
        "DeleteLayerVersion": partial(delete_layer_version, parts),
    }


async def publish_layer_version(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = located(context, "PublishLayerVersion", parameters["LayerName"])
    content = parameters["Content"]
    if content.get("S3ObjectStorageMode") not in (None, "COPY"):
        raise invalid_parameter("Content.S3ObjectStorageMode REFERENCE is not supported by Lambent yet.")
    check_source(content, parts.quotas)
    archive = await archive_of(parts, context, content)
    version = await to_its_end(_publish(parts, key, parameters, archive))
    return _with_content(parts, context, version)


async def _publish(parts: Parts, key: LayerKey, parameters: Parameters, archive: Content | None) -> LayerVersion:
    async with accepted(parts, archive) as code:
        check_storage(parts, key, code)
        signed = await parts.signing.signer(archive)
        now = parts.clock.now()

        def publish(connection: Connection) -> LayerChange:
            version = LayerVersion(
                **key._asdict(),
                number=store.next_number(connection, key),
                code=code,
                created=now,
                description=parameters.get("Description") or "",
                architectures=_sent(parameters, "CompatibleArchitectures"),
                runtimes=_sent(parameters, "CompatibleRuntimes"),
                license=parameters.get("LicenseInfo"),
                signed=signed,
            )
            store.add(connection, version)
            return LayerChange(put=version)

        change = await parts.layers.commit(publish)
    assert change.put is not None
    return change.put


async def get_layer_version(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    number = parameters["VersionNumber"]
    key = located(context, "GetLayerVersion", parameters["LayerName"], number)
    return _got(parts, context, key, number)


async def get_layer_version_by_arn(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    parsed = parse_arn(parameters["Arn"])
    if parsed is None or parsed[1] is None:
        # AWS's own layers are not here.
        raise _missing()
    key, number = parsed[0], parsed[1]
    check_number(number)
    return _got(parts, context, key, number)


async def list_layers(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    matching = {
        name: [version for _, version in sorted(versions.items()) if _matches(version, parameters)]
        for name, versions in sorted(parts.layers.region(context.account, context.region).items())
    }
    newest = [versions[-1] for versions in matching.values() if versions]
    chosen, marker = page(newest, parameters, parts.quotas, lambda version: version.name)
    reply: dict[str, Any] = {
        "Layers": [
            {"LayerName": version.name, "LayerArn": version.key.arn, "LatestMatchingVersion": _listed(version)}
            for version in chosen
        ]
    }
    return reply if marker is None else reply | {"NextMarker": marker}


async def list_layer_versions(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    key = located(context, "ListLayerVersions", parameters["LayerName"])
    versions = sorted(parts.layers.versions(key).values(), key=_list_key)
    matching = [version for version in versions if _matches(version, parameters)]
    chosen, marker = page(matching, parameters, parts.quotas, _list_key)
    reply: dict[str, Any] = {"LayerVersions": [_listed(version) for version in chosen]}
    return reply if marker is None else reply | {"NextMarker": marker}


async def delete_layer_version(parts: Parts, context: CallContext, parameters: Parameters) -> Result:
    number = parameters["VersionNumber"]
    key = located(context, "DeleteLayerVersion", parameters["LayerName"], number)

    def remove(connection: Connection) -> LayerChange:
        store.remove(connection, key, number)
        return LayerChange(removed=(key, number))

    await parts.layers.commit(remove)
    return {}


def _got(parts: Parts, context: CallContext, key: LayerKey, number: int) -> Result:
    version = usable(parts.layers, context, key, number)
    if version is None:
        raise _missing()
    return _with_content(parts, context, version)


def _missing() -> ApiError:
    return not_found("The resource you requested does not exist.")


def _sent(parameters: Parameters, member: str) -> tuple[str, ...] | None:
    values = parameters.get(member)
    return None if values is None else tuple(values)


def _matches(version: LayerVersion, parameters: Parameters) -> bool:
    """A version that names no runtimes, or no architectures, matches no filter for one."""
    return _has(version.runtimes, parameters.get("CompatibleRuntime")) and _has(
        version.architectures, parameters.get("CompatibleArchitecture")
    )


def _has(values: Iterable[str] | None, wanted: str | None) -> bool:
    return wanted is None or wanted in (values or ())


def _list_key(version: LayerVersion) -> str:
    return f"{_NEWEST_FIRST - version.number:010d}"


def _listed(version: LayerVersion) -> dict[str, Any]:
    """LayerVersionsListItem."""
    shape: dict[str, Any] = {
        "LayerVersionArn": version.arn,
        "Version": version.number,
        "Description": version.description,
        "CreatedDate": timestamp(version.created),
    }
    if version.runtimes is not None:
        shape["CompatibleRuntimes"] = list(version.runtimes)
    if version.architectures is not None:
        shape["CompatibleArchitectures"] = list(version.architectures)
    if version.license is not None:
        shape["LicenseInfo"] = version.license
    return shape


def _with_content(parts: Parts, context: CallContext, version: LayerVersion) -> dict[str, Any]:
    """PublishLayerVersionResponse and GetLayerVersionResponse."""
    owner = (version.account, version.region, "layer", version.name, str(version.number))
    content = {
        "Location": parts.urls.sign(context.base_url, owner, version.code.sha256),
        "CodeSha256": package_sha256(version.code),
        "CodeSize": version.code.size_bytes,
    }
    content |= signing(version.signed)
    return {"Content": content, "LayerArn": version.key.arn} | _listed(version)
