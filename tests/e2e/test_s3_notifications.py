"""Notifications of S3 in the real server: a kill in the middle of uploads loses none of the acknowledged ones."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.testing.running_server import Server

pytestmark = pytest.mark.timeout(120)

UPLOADS = 200
KILLED_AFTER = 80


def queue_for(sqs: Any, bucket: str) -> tuple[str, str]:
    url = sqs.create_queue(QueueName="uploads")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn


def test_every_acknowledged_upload_is_told_after_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server()
    s3, sqs = server.client("s3"), server.client("sqs")
    s3.create_bucket(Bucket="photos")
    _, arn = queue_for(sqs, "photos")
    rule = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket="photos", NotificationConfiguration={"QueueConfigurations": [rule]})
    acknowledged: list[str] = []

    def upload(number: int) -> None:
        try:
            s3.put_object(Bucket="photos", Key=f"in/{number}", Body=b"x" * 1000)
        except (BotoCoreError, ClientError):
            return
        acknowledged.append(f"in/{number}")
        if len(acknowledged) == KILLED_AFTER:
            server.kill()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upload, range(UPLOADS)))
    assert len(acknowledged) >= KILLED_AFTER

    again = start_server()
    sqs = again.client("sqs")
    url = sqs.get_queue_url(QueueName="uploads")["QueueUrl"]
    told: set[str] = set()
    while not told >= set(acknowledged):
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", [])
        assert received, f"never told: {sorted(set(acknowledged) - told)}"
        for message in received:
            told |= {record["s3"]["object"]["key"] for record in json.loads(message["Body"]).get("Records", ())}
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    stored = {each["Key"] for each in again.client("s3").list_objects_v2(Bucket="photos")["Contents"]}
    assert told <= stored
