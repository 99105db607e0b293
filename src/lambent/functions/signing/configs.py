"""Code signing configurations of all accounts: in memory for who asks, changed by one transaction each."""

from collections.abc import Callable

from sqlalchemy import Connection

from lambent.functions.signing import store
from lambent.functions.signing.records import ConfigKey, SigningConfig
from lambent.store.database import Database

KIND = "code-signing-config"


class SigningConfigs:
    """`load` before the first call."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._configs: dict[ConfigKey, SigningConfig] = {}

    def load(self) -> None:
        self._configs = {config.key: config for config in self._database.read_now(store.load_all)}

    def get(self, arn: str) -> SigningConfig | None:
        config = self._configs.get(key_of(arn))
        # What the model takes for an ARN may have another partition, or none.
        return None if config is None or config.arn != arn else config

    def region(self, account: str, region: str) -> list[SigningConfig]:
        """Those of an account in a region, by id."""
        found = (config for config in self._configs.values() if (config.account, config.region) == (account, region))
        return sorted(found, key=lambda config: config.config_id)

    async def put(self, decide: Callable[[Connection], SigningConfig]) -> SigningConfig:
        """Store what `decide` makes of the rows; it may raise `ApiError`, and may run twice."""

        def work(connection: Connection) -> SigningConfig:
            config = decide(connection)
            store.put(connection, config)
            return config

        return await self._database.write(work, applied=self._put)

    async def remove(self, key: ConfigKey, check: Callable[[Connection], None]) -> None:
        """`check` refuses in the same transaction."""

        def work(connection: Connection) -> None:
            check(connection)
            store.remove(connection, key)

        await self._database.write(work, applied=lambda _none: self._gone(key))

    def forget_everything(self) -> None:
        """After the rows have gone."""
        self._configs = {}

    def _put(self, config: SigningConfig) -> None:
        self._configs[config.key] = config

    def _gone(self, key: ConfigKey) -> None:
        self._configs.pop(key, None)


def key_of(arn: str) -> ConfigKey:
    """Of an ARN that the model has accepted: it has seven parts."""
    _, _, _, region, account, _, config_id = arn.split(":")
    return ConfigKey(account, region, config_id)
