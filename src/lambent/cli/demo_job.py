"""The job of `lambent demo`, as its user writes it with boto3: two buckets, a notification, a queue, a mapping, two
functions; then photographs, each until its thumbnail is in the gallery. Prints nothing.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from lambent.cli.failure import FUNCTION_FAILED, Failure

PHOTOS, THUMBNAILS, QUEUE = "photos", "thumbnails", "thumbnails-done"
MEMORY_MB = {"thumbnails": 512, "gallery": 128}
ACCOUNT, REGION = "000000000000", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/lambent-demo"
LOOK_S = 0.005
PATIENCE_S = 60.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Times:
    """Since the upload was answered."""

    thumbnail_ms: float
    gallery_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    line: str
    """The REPORT line of one invocation."""

    @property
    def billed_ms(self) -> int:
        return self._number(r"Billed Duration: (\d+) ms")

    @property
    def memory_mb(self) -> int:
        return self._number(r"Memory Size: (\d+) MB")

    def _number(self, pattern: str) -> int:
        found = re.search(pattern, self.line)
        if found is None:
            raise Failure(f"the REPORT line names no billed duration: {self.line!r}", FUNCTION_FAILED)
        return int(found[1])


class Job:
    """`url`: of a server that has none of this yet."""

    def __init__(self, url: str) -> None:
        def client(service: str) -> Any:
            return boto3.session.Session().client(
                service,
                endpoint_url=url,
                region_name=REGION,
                aws_access_key_id=ACCOUNT,
                aws_secret_access_key="test",
                config=Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=5,
                    read_timeout=60,
                    s3={"addressing_style": "path"},
                ),
            )

        self._s3, self._sqs, self._functions, self._logs = map(client, ("s3", "sqs", "lambda", "logs"))

    def set_up(self, package: bytes, runtime: str, architecture: str) -> None:
        """Everything, until both functions are Active."""
        for bucket in (PHOTOS, THUMBNAILS):
            self._s3.create_bucket(Bucket=bucket)
        url = self._sqs.create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
        queue = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for name, memory_mb in MEMORY_MB.items():
            self._functions.create_function(
                FunctionName=name,
                Runtime=runtime,
                Handler=f"{name}.handler",
                Role=ROLE,
                Code={"ZipFile": package},
                MemorySize=memory_mb,
                Timeout=10,
                Architectures=[architecture],
                Environment={"Variables": {"THUMBNAILS": THUMBNAILS, "DONE": QUEUE}},
            )
        for name in MEMORY_MB:
            waiter = self._functions.get_waiter("function_active_v2")
            waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
        self._functions.create_event_source_mapping(
            FunctionName="gallery", EventSourceArn=queue, FunctionResponseTypes=["ReportBatchItemFailures"]
        )
        self._functions.add_permission(
            FunctionName="thumbnails",
            StatementId="uploads",
            Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com",
            SourceArn=f"arn:aws:s3:::{PHOTOS}",
            SourceAccount=ACCOUNT,
        )
        told = {
            "LambdaFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thumbnails",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}},
        }
        self._s3.put_bucket_notification_configuration(
            Bucket=PHOTOS, NotificationConfiguration={"LambdaFunctionConfigurations": [told]}
        )

    def upload(self, name: str, photo: bytes) -> Times:
        """A photograph; waits until it is in the gallery."""
        self._s3.put_object(Bucket=PHOTOS, Key=name, Body=photo)
        begun = time.perf_counter()
        self._wait(f"a thumbnail of {name}", lambda: self._there(name))
        made = time.perf_counter()
        self._wait(f"{name} in the gallery", lambda: self._there(f"gallery/{name}.json"))
        return Times((made - begun) * 1000, (time.perf_counter() - begun) * 1000)

    def thumbnail(self, name: str) -> bytes:
        with self._s3.get_object(Bucket=THUMBNAILS, Key=name)["Body"] as body:
            content: bytes = body.read()
        return content

    def width_and_height(self, name: str) -> tuple[int, int]:
        with self._s3.get_object(Bucket=THUMBNAILS, Key=f"gallery/{name}.json")["Body"] as body:
            entry = json.load(body)
        return entry["width"], entry["height"]

    def reports(self, name: str, photos: int) -> list[Report]:
        """Of a function, in order, once it has handled so many photographs."""

        def read() -> list[Report]:
            pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            lines = [event["message"].strip() for page in pages for event in page["events"]]
            begun = sum(line.startswith("START ") for line in lines)
            handled = sum(".jpg" in line for line in lines)
            found = [Report(line) for line in lines if line.startswith("REPORT ")]
            return found if handled >= photos and len(found) == begun else []

        return self._wait(f"the log of {name}", read)

    def _there(self, key: str) -> bool:
        try:
            self._s3.head_object(Bucket=THUMBNAILS, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            return False
        return True

    def _wait(self, what: str, look: Callable[[], T]) -> T:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := look()):
            if time.monotonic() > deadline:
                raise Failure(f"there is not {what} after {PATIENCE_S:g} s", FUNCTION_FAILED)
            time.sleep(LOOK_S)
        return found
