"""The identity of a new environment: its id, its log stream and its session credentials."""

import base64
import hmac
import os
from datetime import UTC, datetime

from lambent.core import ids
from lambent.environments import credentials
from lambent.environments.ports import EnvironmentIdentity
from lambent.functions.records import FunctionVersion
from lambent.runtimes.variables import SNAP_START

_SECRET = os.urandom(32)


def slot_of(version: FunctionVersion, tenant_id: str | None) -> str:
    """What environments must have in common to stand in for each other: the deployment, and the tenant."""
    return version.deployment_id if tenant_id is None else f"{version.deployment_id} {tenant_id}"


def new_identity(
    version: FunctionVersion, now: datetime, *, provisioned: bool = False, tenant_id: str | None = None
) -> EnvironmentIdentity:
    """Kept over every Reset; `now` gives the day in the name of the log stream."""
    return EnvironmentIdentity(
        environment_id=ids.uuid4(),
        log_group=version.logging.group,
        log_stream=log_stream_name(version, now.astimezone(UTC).strftime("%Y/%m/%d"), ids.hex32()),
        credentials=credentials.issue(
            account=version.account, region=version.region, role=version.role, function_name=version.name
        ),
        provisioned=provisioned,
        tenant_id=tenant_id,
        credentials_token=_token("credentials", version) if version.has_snapshot else "",
        metadata_token=_token("metadata", version),
    )


def initialization_type(version: FunctionVersion, identity: EnvironmentIdentity) -> str:
    """AWS_LAMBDA_INITIALIZATION_TYPE."""
    if version.has_snapshot:
        return SNAP_START
    return "provisioned-concurrency" if identity.provisioned else "on-demand"


def _token(purpose: str, version: FunctionVersion) -> str:
    """The same in all environments of a deployment: under SnapStart it is in the memory that they have in common."""
    return base64.b64encode(hmac.digest(_SECRET, f"{purpose} {version.deployment_id}".encode(), "sha256")).decode()


def log_stream_name(version: FunctionVersion, day: str, unique: str) -> str:
    """The default group's form, or the form of a group that functions share."""
    if version.logging.group == f"/aws/lambda/{version.name}":
        return f"{day}/[{version.version}]{unique}"
    return f"{day}/{version.name}[{version.version}][{unique}]"
