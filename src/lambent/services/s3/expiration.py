"""When an object expires, by the lifecycle of its bucket: for the header that tells it."""

from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.configs.lifecycle import LifecycleRule, expiration, rules_of
from lambent.services.s3.records import Bucket, ObjectVersion


class Expirations:
    def __init__(self, configs: Configs) -> None:
        self._configs = configs

    def rules(self, bucket: Bucket) -> tuple[LifecycleRule, ...]:
        return self._configs.made(bucket.id, Kind.LIFECYCLE, rules_of) or ()

    def header(self, bucket: Bucket, version: ObjectVersion) -> str | None:
        """`x-amz-expiration`; None: it does not expire."""
        rules = self.rules(bucket)
        if not rules:
            return None
        return expiration(rules, version.key, version.size, version.state.tags, version.modified_ms) or None
