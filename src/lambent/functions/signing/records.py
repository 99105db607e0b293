"""What is kept of a code signing configuration, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from lambent.aws.arn import partition_of


class Policy(StrEnum):
    """What happens to a package that is not signed as it should be."""

    WARN = "Warn"
    ENFORCE = "Enforce"


class ConfigKey(NamedTuple):
    account: str
    region: str
    config_id: str

    @property
    def arn(self) -> str:
        partition = partition_of(self.region)
        return f"arn:{partition}:lambda:{self.region}:{self.account}:code-signing-config:{self.config_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningConfig:
    account: str
    region: str
    config_id: str
    publishers: tuple[str, ...]
    """ARNs of signing profile versions whose packages are accepted."""
    last_modified: datetime
    policy: Policy = Policy.WARN
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> ConfigKey:
        return ConfigKey(self.account, self.region, self.config_id)

    @property
    def arn(self) -> str:
        return self.key.arn


@dataclass(frozen=True, slots=True)
class Signed:
    """By whom a package was signed, verified."""

    profile_version_arn: str
    job_arn: str
