"""The signing profiles that this server knows: the public key of each profile version.

From the setting `signing-profiles`. A profile without a key here may be named in a configuration, as on AWS, but
nothing that it signed can be verified.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lambent.core.setting_values import SettingsError

if TYPE_CHECKING:
    from lambent.functions.signing.manifest import PublicKey

Profiles = Mapping[str, "PublicKey"]
"""By the ARN of the profile version."""


def load(given: Iterable[tuple[str, bytes]]) -> Profiles:
    """`given`: ARN and PEM. Raises `SettingsError` that names the profile."""
    pems = dict(given)
    if not pems:
        return {}
    # Here and not above: it takes 25 ms and 6 MB, and few servers verify signatures.
    from lambent.functions.signing.manifest import BadKey, public_key

    found: dict[str, PublicKey] = {}
    for arn, pem in pems.items():
        try:
            found[arn] = public_key(pem)
        except BadKey as error:
            raise SettingsError(f"signing-profiles, {arn}: {error}") from error
    return found
