"""The disk is full while objects, parts and messages are sent: refused in AWS's words, nothing half remains, and all
goes on when there is room."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually
from tests.e2e.small_disk import fill_disk, server_on_small_disk

OBJECT = b"x" * 3_000_000
PART = b"y" * 5_242_880

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk of its own"),
    pytest.mark.timeout(90),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with server_on_small_disk(tmp_path, 64) as started:
        yield started


def test_what_does_not_fit_is_refused_and_leaves_nothing(server: Server) -> None:
    s3, sqs = server.client("s3"), server.client("sqs")
    s3.create_bucket(Bucket="full")
    queue = sqs.create_queue(QueueName="full")["QueueUrl"]
    s3.put_object(Bucket="full", Key="kept", Body=OBJECT)
    upload = s3.create_multipart_upload(Bucket="full", Key="parts")["UploadId"]
    before = files(server)
    assert len(before) == 1

    fill = root(server) / "fill"
    fill_disk(fill)
    # Then a large one has room, and a part of one more.
    with fill.open("r+b") as file:
        file.truncate(fill.stat().st_size - len(OBJECT) - 1_000_000)
    put_part = {"Bucket": "full", "Key": "parts", "PartNumber": 1, "UploadId": upload, "Body": PART}
    assert refused(lambda: s3.upload_part(**put_part)) == ("InternalError", 500)
    assert refused(lambda: s3.put_object(Bucket="full", Key="kept", Body=OBJECT + OBJECT)) == ("InternalError", 500)
    assert files(server) == before

    fill_disk(root(server) / "rest")
    for key in ("kept", "other"):
        assert refused(partial(s3.put_object, Bucket="full", Key=key, Body=OBJECT)) == ("InternalError", 500)
    assert files(server) == before
    # A short message may find room in pages that are there.
    sent, status = 0, None
    while status is None and sent < 100:
        status = refused(lambda: sqs.send_message(QueueUrl=queue, MessageBody="m" * 200_000))
        sent += status is None
    assert status is not None
    assert status[1] >= 500
    assert s3.get_object(Bucket="full", Key="kept")["Body"].read() == OBJECT

    fill.unlink()
    (root(server) / "rest").unlink()
    eventually(lambda: refused(lambda: s3.upload_part(**put_part)), timeout_s=20, until=lambda found: found is None)
    part = s3.upload_part(**put_part)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="full", Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.put_object(Bucket="full", Key="other", Body=OBJECT)
    sqs.send_message(QueueUrl=queue, MessageBody="last")
    listed = {each["Key"]: each["Size"] for each in s3.list_objects_v2(Bucket="full")["Contents"]}
    assert listed == {"kept": len(OBJECT), "other": len(OBJECT), "parts": len(PART)}
    assert len(eventually(lambda: files(server), timeout_s=10, until=lambda found: len(found) == 3)) == 3
    numbers = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert numbers == {"ApproximateNumberOfMessages": str(sent + 1)}


def root(server: Server) -> Path:
    return Path(f"/proc/{server.pid}/root{server.data_dir}")


def files(server: Server) -> set[str]:
    """Of objects and parts, those that are on their way too."""
    folder = root(server) / "s3"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def refused(call: Callable[[], Any]) -> tuple[str, int] | None:
    """Code and status; None: it was done."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None
