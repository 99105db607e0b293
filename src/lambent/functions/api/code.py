"""Where the code of a request comes from: an archive in the request, an object in S3, or a container image.

The members have the same names in the `Code` of CreateFunction and in UpdateFunctionCode. What AWS says about each
kind of package is here.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from lambent.aws.errors import ApiError, invalid_parameter
from lambent.aws.service import CallContext, Parameters
from lambent.functions.api.parts import Parts
from lambent.functions.archive import BadPackage, Content
from lambent.functions.ports import S3Object
from lambent.functions.quotas import Quotas
from lambent.functions.records import NO_PACKAGE, CodePackage, ImageConfig
from lambent.functions.signing.records import Signed

IMAGE: Final = "Image"
_ARCHIVE_MEMBERS: Final = ("ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion")
_REFERENCE: Final = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_ONLY_FOR_PACKAGES: Final = (
    "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
)


def check_source(code: Parameters, quotas: Quotas) -> None:
    """Of a Zip function: refuse what can be refused before anything is fetched."""
    archive: Content | None = code.get("ZipFile")
    if archive is not None and any(code.get(name) is not None for name in _ARCHIVE_MEMBERS[1:]):
        raise invalid_parameter("Please do not provide other FunctionCode parameters when providing a ZipFile.")
    if archive is None and not (code.get("S3Bucket") and code.get("S3Key")):
        raise invalid_parameter("Please provide a source for function code.")
    if archive is not None and len(archive) >= quotas.max_zipped_bytes:
        raise ApiError(
            "RequestEntityTooLargeException",
            f"Zipped size must be smaller than {quotas.max_zipped_bytes} bytes",
            status=413,
        )


def check_image(code: Parameters, doing: str) -> None:
    """Of an Image function. `doing`: creating or updating."""
    if not code.get("ImageUri") or any(code.get(name) is not None for name in _ARCHIVE_MEMBERS):
        raise invalid_parameter(f"Please provide ImageUri when {doing} a function with packageType Image.")
    if _REFERENCE.fullmatch(code["ImageUri"]) is None:
        raise invalid_parameter(f"Source image {code['ImageUri']} is not valid. Provide a valid source image.")


def check_kind(parameters: Parameters, is_image: bool) -> None:
    """Refuse settings that belong to the other kind of package."""
    if is_image and any(parameters.get(name) for name in ("Runtime", "Handler", "Layers")):
        raise invalid_parameter(_ONLY_FOR_PACKAGES)
    if not is_image and any((parameters.get("ImageConfig") or {}).values()):
        raise invalid_parameter("ImageConfig is only supported for functions with PackageType Image.")


def image_config_of(parameters: Parameters) -> ImageConfig | None:
    """None when there is none, or an empty one, which clears it."""
    sent = parameters.get("ImageConfig") or {}
    config = ImageConfig(
        entry_point=tuple(sent["EntryPoint"]) if sent.get("EntryPoint") else None,
        command=tuple(sent["Command"]) if sent.get("Command") else None,
        working_directory=sent.get("WorkingDirectory") or None,
    )
    return None if config == ImageConfig() else config


@asynccontextmanager
async def accepted(
    parts: Parts, archive: Content | None, like: CodePackage | None = None
) -> AsyncIterator[CodePackage]:
    """The archive, checked, unpacked and held meanwhile; nothing where the code is an image."""
    if archive is None:
        yield NO_PACKAGE
        return
    try:
        async with parts.packages.accept(archive, like.sha256 if like else None) as package:
            yield package
    except BadPackage as error:
        raise invalid_parameter(str(error)) from error


def signing_fields(signed: Signed | None) -> dict[str, Any]:
    """Fields of the record that say by whom new code was signed; both None where nobody was verified."""
    return {
        "signing_profile_version_arn": signed and signed.profile_version_arn,
        "signing_job_arn": signed and signed.job_arn,
    }


async def archive_of(parts: Parts, context: CallContext, code: Parameters) -> Content | None:
    """The archive, fetched when it is in S3, None for an image; the checks went before."""
    archive: Content | None = code.get("ZipFile")
    if archive is not None or code.get("ImageUri"):
        return archive
    found = S3Object(code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion") or None)
    return await parts.code_source.fetch(
        found, account=context.account, region=context.region, principal=context.identity.arn
    )
