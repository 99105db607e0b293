"""kill -9 amid uploads: every acknowledged object is there with its bytes, and every row has its file.

`LAMBENT_S3_CRASH_ROUNDS` sets how many kills (2 here).
"""

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.testing.running_server import Server

ROUNDS = int(os.environ.get("LAMBENT_S3_CRASH_ROUNDS", "2"))
WRITERS = 4
BEFORE_THE_KILL = 30
"""Acknowledged uploads of a round."""

pytestmark = pytest.mark.timeout(60 + 30 * ROUNDS)


def test_acknowledged_objects_survive_kills_with_their_bytes(start_server: Callable[..., Server]) -> None:
    acknowledged: dict[str, str] = {}
    for number in range(ROUNDS):
        server = start_server()
        client = server.client("s3")
        client.create_bucket(Bucket="kept")
        enough = threading.Event()
        writers = [
            threading.Thread(target=write, args=(client, f"{number}-{writer}", acknowledged, enough))
            for writer in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        assert enough.wait(30)
        server.kill()
        for writer in writers:
            writer.join(30)
    client = start_server().client("s3")
    listed = [
        entry["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="kept")
        for entry in page.get("Contents", [])
    ]
    assert acknowledged.keys() <= set(listed)
    for key in listed:
        body = client.get_object(Bucket="kept", Key=key)["Body"].read()
        assert hashlib.sha256(body).hexdigest() == acknowledged.get(key, hashlib.sha256(body).hexdigest())


def write(client: Any, name: str, acknowledged: dict[str, str], enough: threading.Event) -> None:
    """Objects of growing size, until the server is gone."""
    count = 0
    while True:
        count += 1
        body = os.urandom(1 + count * 4096)
        try:
            client.put_object(Bucket="kept", Key=f"{name}/{count}", Body=body)
        except (ClientError, BotoCoreError):
            return
        acknowledged[f"{name}/{count}"] = hashlib.sha256(body).hexdigest()
        if count * WRITERS >= BEFORE_THE_KILL:
            enough.set()
