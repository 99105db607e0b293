"""What a code signing configuration says to a package. A pure decision; who asks has checked the archive's size.

AWS's order: integrity is no matter of policy; everything else is refused under Enforce and logged under Warn.
"""

import zipfile
from dataclasses import dataclass

from lambent.functions.archive import Content, readable
from lambent.functions.signing import manifest as format_
from lambent.functions.signing.profiles import Profiles
from lambent.functions.signing.records import Signed, SigningConfig


@dataclass(frozen=True, slots=True)
class Verdict:
    """`signed` when all is well; else `problem`, as the end of a sentence about the package."""

    signed: Signed | None = None
    problem: str | None = None
    tampered: bool = False
    """Whether its content is not what was signed."""


def signer(archive: Content, profiles: Profiles) -> Signed | None:
    """By whom a package is signed, when a key of this server verifies it; no configuration is asked."""
    with zipfile.ZipFile(readable(archive)) as package:
        try:
            manifest = format_.read(package)
        except format_.Malformed:
            return None
        key = None if manifest is None else profiles.get(manifest.profile)
        if manifest is None or key is None or format_.members(package) != manifest.members:
            return None
    return Signed(manifest.profile, manifest.job) if format_.is_signed_by(manifest, key) else None


def examine(archive: Content, config: SigningConfig, profiles: Profiles) -> Verdict:
    with zipfile.ZipFile(readable(archive)) as package:
        try:
            manifest = format_.read(package)
        except format_.Malformed as error:
            return Verdict(problem=str(error), tampered=True)
        if manifest is None:
            return Verdict(problem="it is not signed")
        if format_.members(package) != manifest.members:
            return Verdict(problem="its files are not those that were signed", tampered=True)
    if manifest.profile not in config.publishers:
        return Verdict(problem=f"it is signed by {manifest.profile}, which the configuration does not allow")
    key = profiles.get(manifest.profile)
    if key is None:
        return Verdict(
            problem=f"this server has no key of {manifest.profile} to verify it with: "
            "name one below [signing-profiles] in lambent.toml"
        )
    if not format_.is_signed_by(manifest, key):
        return Verdict(problem=f"its signature is not by the key of {manifest.profile}")
    return Verdict(Signed(manifest.profile, manifest.job))
