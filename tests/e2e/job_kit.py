"""The canonical job with small functions: a bucket that tells a function, which writes to another bucket and sends a
message, which a second function enters beside it.
"""

import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function

ACCOUNT, REGION = "000000000000", "us-east-1"
HALVES = """
import boto3

s3, sqs = boto3.client("s3"), boto3.client("sqs")
queue = sqs.get_queue_url(QueueName="halved")["QueueUrl"]

def handler(event, context):
    for record in event["Records"]:
        key = record["s3"]["object"]["key"]
        whole = s3.get_object(Bucket="wholes", Key=key)["Body"].read()
        s3.put_object(Bucket="halves", Key=key, Body=whole[: len(whole) // 2])
        sqs.send_message(QueueUrl=queue, MessageBody=key)
"""
ENTERS = """
import boto3

s3 = boto3.client("s3")

def handler(event, context):
    for message in event["Records"]:
        s3.put_object(Bucket="halves", Key="done/" + message["body"], Body=b"")
"""


VISIBILITY_S = 15


def set_up(server: Server) -> None:
    """Few environments of much memory, since each loads boto3: what is tested is not the speed of cold starts."""
    s3, sqs, functions = server.client("s3"), server.client("sqs"), server.client("lambda")
    s3.create_bucket(Bucket="wholes")
    s3.create_bucket(Bucket="halves")
    sqs.create_queue(QueueName="halved", Attributes={"VisibilityTimeout": str(VISIBILITY_S)})
    create_function(functions, "halves", HALVES, Timeout=60, MemorySize=1769)
    create_function(functions, "enters", ENTERS, Timeout=VISIBILITY_S, MemorySize=1769)
    for name in ("halves", "enters"):
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    functions.create_event_source_mapping(
        FunctionName="enters", EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:halved"
    )
    tell(server, "wholes", "halves")


def tell(server: Server, bucket: str, function: str) -> None:
    """The function of each object that is made in the bucket."""
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"
    server.client("lambda").add_permission(
        FunctionName=function,
        StatementId=bucket,
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        SourceArn=f"arn:aws:s3:::{bucket}",
        SourceAccount=ACCOUNT,
    )
    told = {"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
    server.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [told]}
    )


def keys(server: Server, bucket: str, prefix: str = "") -> set[str]:
    pages = server.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}


class Uploads:
    """Of many clients at once, until the server is gone. `acknowledged` grows meanwhile."""

    def __init__(self, server: Server, names: Iterable[str], clients: int = 4) -> None:
        self.acknowledged: list[str] = []
        self._s3 = server.client("s3")
        self._some = threading.Condition()
        self._pool = ThreadPoolExecutor(clients)
        self._all = [self._pool.submit(self._upload, name) for name in names]

    def _upload(self, name: str) -> None:
        try:
            self._s3.put_object(Bucket="wholes", Key=name, Body=name.encode() * 1000)
        except (BotoCoreError, ClientError):
            return
        with self._some:
            self.acknowledged.append(name)
            self._some.notify_all()

    def wait_for(self, count: int) -> None:
        with self._some:
            assert self._some.wait_for(lambda: len(self.acknowledged) >= count, timeout=60)

    def finish(self) -> list[str]:
        for each in self._all:
            each.result(60)
        self._pool.shutdown()
        return self.acknowledged


def queue_for(server: Server, name: str, *services: str) -> tuple[str, str]:
    """The URL and ARN of a new queue that lets these services send."""
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": arn}
        for service in services
    ]
    attributes = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": statements})} if services else {}
    return server.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], arn
