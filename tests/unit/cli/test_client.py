"""The signature of the light client, against botocore's."""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from lambent.cli.client import Credentials, sign

NOW = datetime(2026, 11, 20, 12, 30, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "token"),
    [
        ("GET", "/2015-03-31/functions/", {}, b"", None),
        ("GET", "/2015-03-31/functions/", {"Marker": "a b/c=", "MaxItems": "2"}, b"", "session"),
        ("POST", "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations", {"Qualifier": "$LATEST"}, b'{"a": 1}', None),
    ],
)
def test_signs_as_botocore_does(method: str, path: str, query: dict[str, str], body: bytes, token: str | None) -> None:
    mine = Credentials("AKID", "secret", token, "eu-central-1")
    query_string = urlencode(sorted(query.items()))
    headers = {"x-amz-log-type": "Tail"}
    signed = sign(mine, NOW, "lambda", method, "127.0.0.1:4566", path, query_string.replace("+", "%20"), body, headers)

    request: Any = AWSRequest(method, f"http://127.0.0.1:4566{path}", dict(headers), body, query)
    theirs: Any = SigV4Auth(BotocoreCredentials("AKID", "secret", token), "lambda", "eu-central-1")
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        theirs.add_auth(request)
    assert signed["authorization"] == request.headers["Authorization"]


def test_credentials_are_the_callers_with_stand_ins() -> None:
    given = Credentials.from_variables({"AWS_ACCESS_KEY_ID": "123456789012", "AWS_REGION": "eu-west-1"})
    assert (given.access_key, given.secret_key, given.region) == ("123456789012", "test", "eu-west-1")
    assert "test" not in repr(given)
