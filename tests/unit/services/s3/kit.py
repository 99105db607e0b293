"""Buckets and changes for the tests of S3."""

from dataclasses import replace
from typing import Any

from lambent.services.s3.records import Bucket, ObjectChange, Origin

ACCOUNT = "000000000000"
BUCKET = Bucket(id=1, name="photos", account=ACCOUNT, region="eu-west-1", constraint="eu-west-1", created_ms=0)
CHANGE = ObjectChange(
    event="ObjectCreated:Put",
    key="in/a@b c.jpg",
    sequence=0x55AED6DCD90281E5,
    at_ms=1_791_796_087_123,
    origin=Origin(principal=f"arn:aws:iam::{ACCOUNT}:root", request_id="r", source_ip="1.2.3.4"),
    size=9,
    etag="0cc175b9c0f1b6a831c399e269772661",
)


def change(event: str = "ObjectCreated:Put", **values: Any) -> ObjectChange:
    return replace(CHANGE, event=event, **values)
