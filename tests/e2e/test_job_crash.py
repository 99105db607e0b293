"""The whole job over a kill of the server: what was acknowledged is done, whatever was under way."""

import os
from collections.abc import Callable

import pytest

from lambent.testing.running_server import Server
from tests.e2e import job_kit
from tests.e2e.census import eventually

UPLOADS = int(os.environ.get("LAMBENT_JOB_UPLOADS", "60"))

pytestmark = pytest.mark.timeout(120 + UPLOADS)


def test_every_acknowledged_upload_is_handled_after_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server()
    job_kit.set_up(server)
    uploads = job_kit.Uploads(server, [f"photo-{number}.jpg" for number in range(UPLOADS)])
    uploads.wait_for(UPLOADS // 2)
    server.kill()
    acknowledged = set(uploads.finish())
    assert UPLOADS // 2 <= len(acknowledged) < UPLOADS

    again = start_server()
    assert acknowledged <= job_kit.keys(again, "wholes")
    wanted = acknowledged | {f"done/{name}" for name in acknowledged}
    made = eventually(
        lambda: job_kit.keys(again, "halves"), timeout_s=60 + UPLOADS, until=lambda found: wanted <= found
    )
    assert wanted <= made, sorted(wanted - made)
    name = sorted(acknowledged)[0]
    with again.client("s3").get_object(Bucket="halves", Key=name)["Body"] as body:
        assert body.read() == (name.encode() * 1000)[: len(name) * 500]
