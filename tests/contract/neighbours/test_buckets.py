"""Buckets of the server, where services of moto read and write objects."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lambent.aws.errors import ApiError
from lambent.aws.service import Parameters, Result
from lambent.services.neighbours.process import MotoProcess
from lambent.testing.scripted_caller import ScriptedCaller

ACCOUNT = "111111111111"


class Stored(ScriptedCaller):
    """One bucket, `lake`."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        for name in ("HeadBucket", "PutObject", "GetObject", "ListObjectsV2"):
            self.answers["s3", name] = getattr(self, f"_{name}")

    def _HeadBucket(self, parameters: Parameters) -> Result:
        if parameters["Bucket"] != "lake":
            raise ApiError("404", "Not Found", status=404)
        return {}

    def _PutObject(self, parameters: Parameters) -> Result:
        self._HeadBucket(parameters)
        self.objects[parameters["Key"]] = parameters["Body"]
        return {}

    def _GetObject(self, parameters: Parameters) -> Result:
        return {"Body": self.objects[parameters["Key"]]}

    def _ListObjectsV2(self, parameters: Parameters) -> Result:
        ordered = sorted(key for key in self.objects if key.startswith(parameters["Prefix"]))
        place = int(parameters.get("ContinuationToken", 0))
        more = {"IsTruncated": True, "NextContinuationToken": str(place + 1)} if place + 1 < len(ordered) else {}
        return {"Contents": [{"Key": key} for key in ordered[place : place + 1]], **more}


def asked(caller: ScriptedCaller, scratch: Path, service: str, calls: list[tuple[str, Mapping[str, Any]]]) -> list[Any]:
    """What moto answers to calls of one service, of those that speak JSON."""

    async def ask() -> list[Any]:
        process = await MotoProcess.start(scratch, 1 << 30, caller, buckets=True)
        try:
            return [await _settled(process, service, target, body) for target, body in calls]
        finally:
            await process.close()

    return asyncio.run(ask())


async def _settled(process: MotoProcess, service: str, target: str, body: Mapping[str, Any]) -> Any:
    """What is answered; of a Scan at last, since imports go on in the background."""
    async with asyncio.timeout(30):
        while (found := await _one(process, service, target, body)).get("Count", 2) < 2:
            pass
    return found


async def _one(process: MotoProcess, service: str, target: str, body: Mapping[str, Any]) -> Any:
    head = {
        "service": service,
        "account": ACCOUNT,
        "region": "us-east-1",
        "authorization": f"AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/{service}/aws4_request, Signature=0",
        "method": "POST",
        "path": "/",
        "query": "",
        "headers": {"x-amz-target": target, "content-type": "application/x-amz-json-1.0", "host": "localhost"},
    }
    async with asyncio.timeout(30):
        reply, content = await process.call(head, json.dumps(body).encode())
    return {"status": reply.get("status"), **(json.loads(content) if content else reply)}


def stream(name: str, bucket: str) -> tuple[str, dict[str, Any]]:
    to = {"BucketARN": f"arn:aws:s3:::{bucket}", "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/r"}
    return "Firehose_20150804.CreateDeliveryStream", {"DeliveryStreamName": name, "S3DestinationConfiguration": to}


def test_firehose_writes_into_them(tmp_path: Path) -> None:
    caller = Stored()
    record = {"DeliveryStreamName": "clicks", "Record": {"Data": "Y2xpY2s="}}
    _, put = asked(caller, tmp_path, "firehose", [stream("clicks", "lake"), ("Firehose_20150804.PutRecord", record)])
    assert put["status"] == 200
    assert list(caller.objects.values()) == [b"click"]
    assert {(each.account, each.principal) for each in caller.asked} == {(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")}


def test_a_bucket_that_is_not_there_is_missed(tmp_path: Path) -> None:
    found = asked(
        Stored(),
        tmp_path,
        "cloudtrail",
        [
            (
                f"com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.{name}",
                {"Name": "trail", "S3BucketName": bucket},
            )
            for name, bucket in (("CreateTrail", "sea"), ("CreateTrail", "lake"))
        ],
    )
    assert [each["status"] for each in found] == [400, 200]
    assert found[0]["__type"] == "S3BucketDoesNotExistException"


def test_dynamodb_imports_from_them(tmp_path: Path) -> None:
    caller = Stored()
    made = {
        "TableName": "t",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    for number in range(2):
        caller.objects[f"in/{number}"] = json.dumps({"Item": {"id": {"S": str(number)}}}).encode()
    wanted = {
        "S3BucketSource": {"S3Bucket": "lake", "S3KeyPrefix": "in/"},
        "InputFormat": "DYNAMODB_JSON",
        "TableCreationParameters": made,
    }
    calls: list[tuple[str, Mapping[str, Any]]] = [("ImportTable", wanted), ("Scan", {"TableName": "t"})]
    found = asked(caller, tmp_path, "dynamodb", [(f"DynamoDB_20120810.{name}", body) for name, body in calls])
    assert sorted(item["id"]["S"] for item in found[1]["Items"]) == ["0", "1"]
