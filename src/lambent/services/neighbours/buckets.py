"""The server's buckets, as moto's services know theirs. Runs where moto does.

What Firehose, Athena, exports and imports of DynamoDB read and write, and what CloudTrail, flow logs and SES look for.
Anything else of a bucket is refused by name.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import moto.s3
from moto.s3 import models
from moto.s3.exceptions import MissingBucket

from lambent.services.neighbours.outward import WAIT_S, Outward, Refused

_MISSING: Final = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})


def install(outward: Outward) -> None:
    """Before a part of moto is imported that takes its buckets from there."""
    own = Accounts(outward)
    vars(models)["s3_backends"] = own
    vars(moto.s3)["s3_backends"] = own


class Accounts:
    """`[account][partition]`, as moto has it."""

    def __init__(self, outward: Outward) -> None:
        self._outward = outward

    def __getitem__(self, account: str) -> "Mapping[str, Buckets]":
        return _Partitions(Buckets(self._outward, account))


class _Partitions(dict[str, "Buckets"]):
    def __init__(self, buckets: "Buckets") -> None:
        super().__init__()
        self._buckets = buckets

    def __missing__(self, _partition: str) -> "Buckets":
        return self._buckets


class Buckets:
    """Of one account; called as moto calls its own."""

    def __init__(self, outward: Outward, account: str) -> None:
        self._outward = outward
        self._account = account
        self.buckets = _ByName(self)

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"{name} of S3 is not carried from moto to the buckets of this server")

    def get_bucket(self, bucket_name: str) -> "Bucket":
        """Raises moto's MissingBucket."""
        try:
            self._call("HeadBucket", {"Bucket": bucket_name})
        except Refused as error:
            if error.code in _MISSING:
                raise MissingBucket(bucket=bucket_name) from error
            raise
        return Bucket(bucket_name)

    head_bucket = get_bucket

    def put_object(self, bucket_name: str, key_name: str, value: bytes, **_: Any) -> "Object":
        self._call("PutObject", {"Bucket": bucket_name, "Key": key_name, "Body": value})
        return Object(self, bucket_name, key_name)

    def get_object(self, bucket_name: str, key_name: str, version_id: str | None = None, **_: Any) -> "Object | None":
        found = Object(self, bucket_name, key_name, version_id)
        try:
            found.value  # noqa: B018  (read now: None is the answer for what is not there)
        except Refused as error:
            if error.code in _MISSING:
                return None
            raise
        return found

    def list_objects(self, bucket: "Bucket", prefix: str | None, *_: Any, **__: Any) -> tuple[Any, ...]:
        """All of them, whatever the page: keys, no folders, not cut, no marker."""
        return list(self._keys(bucket.name, prefix or "")), [], False, None

    def _keys(self, bucket: str, prefix: str) -> "Iterator[Object]":
        page: dict[str, str] = {}
        while True:
            found = self._call("ListObjectsV2", {"Bucket": bucket, "Prefix": prefix, **page})
            for entry in found.get("Contents", ()):
                yield Object(self, bucket, entry["Key"])
            if not found.get("IsTruncated"):
                return
            page = {"ContinuationToken": found["NextContinuationToken"]}

    def read(self, bucket: str, key: str, version_id: str | None) -> bytes:
        version = {} if version_id is None else {"VersionId": version_id}
        body: bytes = self._call("GetObject", {"Bucket": bucket, "Key": key, **version}).get("Body", b"")
        return body

    def _call(self, operation: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        reply = self._outward.begin(
            "s3",
            operation,
            parameters,
            account=self._account,
            region=self._outward.region,
            principal=f"arn:aws:iam::{self._account}:root",
            source_arn=f"arn:aws:s3::{self._account}:{parameters['Bucket']}",
        )
        return reply.result(WAIT_S)


class _ByName:
    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def __getitem__(self, name: str) -> "Bucket":
        """Raises KeyError."""
        try:
            return self._buckets.get_bucket(name)
        except MissingBucket as error:
            raise KeyError(name) from error

    def __contains__(self, name: str) -> bool:
        try:
            self[name]
        except KeyError:
            return False
        return True


class Bucket:
    def __init__(self, name: str) -> None:
        self.name = name
        self.arn = f"arn:aws:s3:::{name}"


class Object:
    """Its content is read when it is asked for, and once."""

    def __init__(self, buckets: Buckets, bucket: str, key: str, version_id: str | None = None) -> None:
        self._buckets = buckets
        self._bucket = bucket
        self.name = key
        self._version_id = version_id
        self._value: bytes | None = None

    @property
    def value(self) -> bytes:
        if self._value is None:
            self._value = self._buckets.read(self._bucket, self.name, self._version_id)
        return self._value

    @property
    def size(self) -> int:
        return len(self.value)
