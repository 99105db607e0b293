"""The signing profiles that this server knows: the public key of each profile version.

From the setting `signing-profiles`. A profile without a key here may be named in a configuration, as on AWS, but
nothing that it signed can be verified.
"""

from collections.abc import Iterable, Mapping

from lambent.core.settings import SettingsError
from lambent.functions.signing.manifest import BadKey, PublicKey, public_key

Profiles = Mapping[str, PublicKey]
"""By the ARN of the profile version."""


def load(given: Iterable[tuple[str, bytes]]) -> Profiles:
    """`given`: ARN and PEM. Raises `SettingsError` that names the profile."""
    found: dict[str, PublicKey] = {}
    for arn, pem in given:
        try:
            found[arn] = public_key(pem)
        except BadKey as error:
            raise SettingsError(f"signing-profiles, {arn}: {error}") from error
    return found
