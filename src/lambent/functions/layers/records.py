"""What the control plane keeps of a layer version, frozen, and how layers are named."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from lambent.aws.arn import partition_of
from lambent.functions.records import CodePackage
from lambent.functions.signing.records import Signed

_ARN: Final = re.compile(
    r"arn:(?:aws[a-zA-Z-]*)?:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):layer:(?P<name>[a-zA-Z0-9_-]+)"
    r"(?::(?P<number>\d+))?"
)


class LayerKey(NamedTuple):
    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """Without the number of a version."""
        return f"arn:{partition_of(self.region)}:lambda:{self.region}:{self.account}:layer:{self.name}"

    def version_arn(self, number: int) -> str:
        return f"{self.arn}:{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVersion:
    """Immutable but for its policy. Where a member is None or empty the caller did not send it."""

    account: str
    region: str
    name: str
    number: int
    code: CodePackage
    created: datetime
    description: str = ""
    architectures: tuple[str, ...] | None = None
    runtimes: tuple[str, ...] | None = None
    license: str | None = None
    signed: Signed | None = None
    policy: str | None = None
    """Who else may use it: a whole document as IAM's JSON."""
    policy_revision: str | None = None
    """New with each change of the policy."""

    @property
    def key(self) -> LayerKey:
        return LayerKey(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return self.key.version_arn(self.number)


def parse_arn(text: str) -> tuple[LayerKey, int | None] | None:
    """The layer that an ARN names, and the version where it names one; None when it is no ARN of a layer."""
    match = _ARN.fullmatch(text)
    if match is None:
        return None
    number = match["number"]
    return LayerKey(match["account"], match["region"], match["name"]), None if number is None else int(number)
