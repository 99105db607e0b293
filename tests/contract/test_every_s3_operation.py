"""All operations of S3's model, with members that are odd or merely unusual, against a real server.

Whatever is sent, the answer is 2xx, 3xx or 4xx, or the declared 501 of what is not built.
"""

import http.client
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lambent.aws.models import service_model
from lambent.aws.shapes import OperationModel
from lambent.gateway.foreign import of_botocore
from lambent.testing.running_server import Server
from tests.property.gateway.shape_values import SECONDS, structure

ACCOUNT: Final = "000000000000"
MODEL: Final = service_model("s3")
SERIALISER: Final = create_serializer("rest-xml", include_validation=False)
OPERATIONS: Final = [name for name in MODEL.operation_names if name != "DeleteBucket"]
KNOWN: Final = {"Bucket": "bucket", "Key": "key", "RequestRoute": "route"}
"""The last is a part of the host name, which botocore holds to what one may be."""
AUTHORIZATION: Final = (
    f"AWS4-HMAC-SHA256 Credential={ACCOUNT}/20261120/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
)
SCRIPT: Final = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.start(tmp_path_factory.mktemp("s3") / "data", "--sandbox", "process") as server:
        client = server.client("s3", account=ACCOUNT)
        client.create_bucket(Bucket="bucket")
        client.put_object(Bucket="bucket", Key="key", Body=b"content")
        yield server


def parameters_of(operation: OperationModel) -> st.SearchStrategy[dict[str, Any]]:
    shape = operation.input_shape
    if shape is None:
        return st.just({})
    known = {name: text for name, text in KNOWN.items() if name in shape.members}
    return structure(shape, SECONDS).map(lambda found: {**found, **known})


def status_of(server: Server, operation: OperationModel, parameters: dict[str, Any]) -> int:
    request = SERIALISER.serialize_to_request(parameters, of_botocore(operation))
    query = urlencode(request["query_string"], doseq=True) if request["query_string"] else ""
    path, body = request["url_path"], request["body"]
    content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.putrequest(request["method"], path + ("&" if "?" in path else "?") + query if query else path)
        for name, value in request["headers"].items():
            text = str(value)
            # What no client can put on the wire: botocore would not either.
            if name.isascii() and name.replace("-", "").isalnum() and text.isprintable():
                connection.putheader(name, text.encode())
        connection.putheader("Authorization", AUTHORIZATION)
        connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


@pytest.mark.timeout(300)
def test_no_request_to_s3_is_answered_by_5xx_but_the_declared_501(server: Server) -> None:
    @SCRIPT
    @given(st.data())
    def script(data: st.DataObject) -> None:
        operation = MODEL.operation_model(data.draw(st.sampled_from(OPERATIONS)))
        parameters = data.draw(parameters_of(operation))
        status = status_of(server, operation, parameters)
        assert 200 <= status < 500 or status == 501, (operation.name, status, parameters)

    script()
    assert server.process.poll() is None
    assert "Traceback" not in server.log()
