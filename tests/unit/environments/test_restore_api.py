import json
from datetime import UTC, datetime

from lambent.environments import credentials
from lambent.environments.runtime_http import HttpRequest
from lambent.environments.snapshots.restore_api import BEFORE_SNAPSHOT, CREDENTIALS, RestoreApi
from lambent.testing.manual_clock import ManualClock

SESSION = credentials.issue(
    account="000000000000", region="us-east-1", role="arn:aws:iam::000000000000:role/r", function_name="thumbnail"
)


def get(**headers: str) -> HttpRequest:
    names = {name.encode(): value.encode() for name, value in headers.items()}
    return HttpRequest(b"GET", CREDENTIALS, names, b"", {}, False)


def test_credentials_need_the_token() -> None:
    api = RestoreApi(credentials=SESSION, token="secret", clock=ManualClock())
    for request in (get(), get(authorization="other"), get(authorization="")):
        assert api.session(request).startswith(b"HTTP/1.1 404 ")
        assert SESSION.secret_access_key.encode() not in api.session(request)
    head, _, body = api.session(get(authorization="secret")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    found = json.loads(body)
    assert found.keys() == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert found["AccessKeyId"] == SESSION.access_key_id


def test_clients_made_before_the_snapshot_ask_again_at_their_next_use() -> None:
    """SDKs renew what is valid for less than ten minutes, and refuse what is over."""
    clock = ManualClock()
    api = RestoreApi(credentials=SESSION, token="secret", clock=clock, lifetime=BEFORE_SNAPSHOT)
    body = api.session(get(authorization="secret")).partition(b"\r\n\r\n")[2]
    expires = datetime.strptime(json.loads(body)["Expiration"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert 60 < (expires - clock.now()).total_seconds() < 600


def test_a_runtime_that_needs_no_snapshot_goes_on_at_once_and_a_template_waits() -> None:
    asked = []
    assert RestoreApi(credentials=SESSION, token="", clock=ManualClock()).next() is not None
    template = RestoreApi(credentials=SESSION, token="", clock=ManualClock(), awaits_restore=lambda: asked.append(1))
    assert template.next() is None
    assert asked == [1]
