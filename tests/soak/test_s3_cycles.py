"""Objects, versions, copies and uploads that come and go for minutes: what the server holds, in memory and on its disk,
is what it held after the first rounds. LAMBENT_S3_MINUTES sets how long."""

import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambent.testing.running_server import Server
from tests.e2e.census import eventually, resources

MINUTES = float(os.environ.get("LAMBENT_S3_MINUTES", "5"))
WORKERS = 8
PER_ROUND = 8
"""Cycles of each worker."""
SETTLE_S = 20.0
WARM_UP = 16
"""Rounds, until the caches of SQLite are full and each thread has its own part of the heap."""
RESIDENT_KB = 8 * 1024
"""What the allocator may keep more after many rounds than after those."""
THREADS = 4
"""Pools start a thread when a job finds none idle."""
BODIES = [b"", b"s" * 1000, b"m" * 300_000, b"l" * 2_500_000]
PART = b"p" * 5_242_880

pytestmark = pytest.mark.timeout(600 + 60 * MINUTES)


def test_objects_that_come_and_go_leave_nothing(start_server: Callable[..., Server]) -> None:
    server = start_server("--prewarm", "off")
    client = server.client("s3")
    for name in ("plain", "versioned"):
        client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in range(WARM_UP):
            _round(client, pool)
        before = eventually(partial(_held, server), timeout_s=SETTLE_S, until=_nothing_stored)
        assert _nothing_stored(before), before
        rounds, end = 0, time.monotonic() + 60 * MINUTES
        while time.monotonic() < end:
            _round(client, pool)
            rounds += 1
    after = eventually(partial(_held, server), timeout_s=SETTLE_S, until=lambda found: not _grown(before, found))
    print(f"{rounds * WORKERS * PER_ROUND} cycles", {key: (before[key], after[key]) for key in after})
    assert not (grown := _grown(before, after)), f"(before, after): {grown}"


def _round(client: Any, pool: ThreadPoolExecutor) -> None:
    for done in [pool.submit(_cycles, client, worker) for worker in range(WORKERS)]:
        done.result(timeout=120)


def _cycles(client: Any, worker: int) -> None:
    for number in range(PER_ROUND):
        key = f"{worker}/{number}"
        body = BODIES[number % len(BODIES)]
        client.put_object(Bucket="plain", Key=key, Body=b"before")
        client.put_object(Bucket="plain", Key=key, Body=body, Metadata={"n": str(number)})
        client.copy_object(Bucket="plain", Key=key + "-copy", CopySource={"Bucket": "plain", "Key": key})
        assert client.get_object(Bucket="plain", Key=key + "-copy")["Body"].read() == body
        with pytest.raises(ClientError, match="BadDigest"):
            client.put_object(Bucket="plain", Key=key, Body=body, ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
        for each in (key, key + "-copy"):
            client.delete_object(Bucket="plain", Key=each)
        _versions(client, key, body)
        if number == worker % PER_ROUND:
            _uploads(client, key)


def _versions(client: Any, key: str, body: bytes) -> None:
    made = [client.put_object(Bucket="versioned", Key=key, Body=each)["VersionId"] for each in (body, b"next")]
    made.append(client.delete_object(Bucket="versioned", Key=key)["VersionId"])
    assert client.get_object(Bucket="versioned", Key=key, VersionId=made[0])["Body"].read() == body
    doomed = {"Objects": [{"Key": key, "VersionId": version} for version in made]}
    assert len(client.delete_objects(Bucket="versioned", Delete=doomed)["Deleted"]) == len(made)


def _uploads(client: Any, key: str) -> None:
    for completed in (True, False):
        upload = {"Bucket": "plain", "Key": key}
        upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
        parts = []
        for number, body in enumerate((PART, b"end"), 1):
            client.upload_part(**upload, PartNumber=number, Body=b"taken back")
            sent = client.upload_part(**upload, PartNumber=number, Body=body)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        if not completed:
            client.abort_multipart_upload(**upload)
            continue
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        assert client.get_object(Bucket="plain", Key=key)["Body"].read() == PART + b"end"
        client.delete_object(Bucket="plain", Key=key)


def _held(server: Server) -> dict[str, int]:
    held = {f"supervisor {key}": value for key, value in resources(server.pid).items()}
    held["files"] = sum(path.is_file() for path in Path(server.data_dir, "s3").rglob("*"))
    with sqlite3.connect(f"file:{server.data_dir}/lambent.db?mode=ro", uri=True) as database:
        for table in ("s3_versions", "s3_parts", "queue_messages"):
            held[f"rows of {table}"] = database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    database.close()
    return held


def _nothing_stored(held: dict[str, int]) -> bool:
    return not any(held[key] for key in ("files", "rows of s3_versions", "rows of s3_parts", "rows of queue_messages"))


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What grew beyond its allowance: (before, after)."""
    allowed = {"supervisor resident_kb": RESIDENT_KB, "supervisor threads": THREADS}
    return {key: (before[key], after[key]) for key in after if after[key] > before[key] + allowed.get(key, 0)}
