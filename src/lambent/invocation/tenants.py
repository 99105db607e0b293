"""The tenant of an invocation: required of a function with tenant isolation, refused of any other. Pure.

That two tenants never share an environment is the pool's business (`environments.identity.slot_of`).
"""

from typing import Final

from lambent.aws.errors import invalid_parameter
from lambent.functions.records import FunctionVersion

MISSING: Final = (
    "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and try again."
)
UNEXPECTED: Final = "The invoked function is not enabled with tenancy configuration."


def tenant_of(version: FunctionVersion, tenant_id: str | None) -> str | None:
    """For whom to invoke. `tenant_id`: as the caller sent it, of the model's form."""
    if version.tenant_isolation and tenant_id is None:
        raise invalid_parameter(MISSING)
    if not version.tenant_isolation and tenant_id is not None:
        raise invalid_parameter(UNEXPECTED)
    return tenant_id
