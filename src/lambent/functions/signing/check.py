"""The check of a package at the moment it becomes a function's code, with AWS's two refusals."""

import asyncio
import logging
from typing import TYPE_CHECKING

from lambent.aws.errors import ApiError
from lambent.functions.archive import Content
from lambent.functions.records import FunctionKey
from lambent.functions.signing.configs import SigningConfigs
from lambent.functions.signing.profiles import Profiles
from lambent.functions.signing.records import Policy, Signed, SigningConfig

if TYPE_CHECKING:
    from lambent.functions.signing.examine import Verdict

logger = logging.getLogger(__name__)


class CodeSigningCheck:
    def __init__(self, configs: SigningConfigs, profiles: Profiles) -> None:
        self.configs = configs
        self._profiles = profiles

    def existing(self, config_arn: str, account: str, region: str) -> SigningConfig:
        """For a function of this account and region: what others have configured is nothing to it."""
        config = self.configs.get(config_arn)
        if config is None or (config.account, config.region) != (account, region):
            raise config_not_found(config_arn)
        return config

    async def signer(self, archive: Content | None) -> Signed | None:
        """Of a package that becomes a layer, unpacked before; None also for what does not verify."""
        if archive is None or not self._profiles:
            return None
        return await asyncio.to_thread(_signer, archive, self._profiles)

    async def of(self, function: FunctionKey, config_arn: str | None, archive: Content | None) -> Signed | None:
        """By whom the package is signed; None where nobody asks, or where the policy only warns.

        `archive` has been unpacked before, so that its size is known to be harmless.
        """
        if config_arn is None or archive is None:
            return None
        config = self.existing(config_arn, function.account, function.region)
        verdict = await asyncio.to_thread(_verdict, archive, config, self._profiles)
        if verdict.tampered:
            raise ApiError("InvalidCodeSignatureException", _INTEGRITY.format(problem=verdict.problem))
        if verdict.problem is not None and config.policy is Policy.ENFORCE:
            text = _REFUSED.format(name=function.name, problem=verdict.problem)
            raise ApiError("CodeVerificationFailedException", text)
        if verdict.problem is not None:
            logger.warning("%s is deployed against its code signing configuration: %s", function.arn, verdict.problem)
        return verdict.signed


def _verdict(archive: Content, config: SigningConfig, profiles: Profiles) -> "Verdict":
    # Here and not above: it takes 25 ms and 6 MB, and few servers verify signatures.
    from lambent.functions.signing.examine import examine

    return examine(archive, config, profiles)


def _signer(archive: Content, profiles: Profiles) -> Signed | None:
    from lambent.functions.signing.examine import signer

    return signer(archive, profiles)


def config_not_found(arn: str) -> ApiError:
    """Of operations on functions."""
    return ApiError(
        "CodeSigningConfigNotFoundException",
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}.",
    )


_INTEGRITY = (
    "The code signature failed the integrity check. If the integrity check fails, then Lambda blocks deployment, even"
    " if the code signing policy is set to WARN. Of this package: {problem}."
)
_REFUSED = (
    "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client is not"
    " configured to accept. Check the provided signature for {name}. Of this package: {problem}."
)
