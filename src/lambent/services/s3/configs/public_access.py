"""What a bucket's public access block forbids. All of it in a new bucket; nothing once it was deleted."""

from lambent.services.s3.configs.configs import Configs
from lambent.services.s3.configs.kinds import Kind
from lambent.services.s3.records import Bucket


def blocks(configs: Configs, bucket: Bucket, flag: str) -> bool:
    """`BlockPublicAcls`, `IgnorePublicAcls`, `BlockPublicPolicy` or `RestrictPublicBuckets`."""
    if not configs.put_or_deleted(bucket.id, Kind.PUBLIC_ACCESS):
        return True
    document = configs.document(bucket.id, Kind.PUBLIC_ACCESS)
    return document is not None and bool(document[flag])
