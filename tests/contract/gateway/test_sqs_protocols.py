"""SQS on the wire: AWS JSON 1.0 for SDKs of today, forms and XML for older ones and for curl."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import orjson
import pytest
from botocore.exceptions import ClientError

from lambent.aws.errors import ApiError
from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.app import Gateway
from lambent.testing.aws_client import aws_client
from lambent.testing.served import exchange, served

AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=123456789012/20261120/us-east-1/sqs/aws4_request, Signature=0"
QUEUE = "/123456789012/orders"
OTHER = "com.amazon.coral.service"
SPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"
GONE = ApiError("QueueDoesNotExist", "The specified queue does not exist.")


class Recorder:
    def __init__(self, reply: Result | Exception) -> None:
        self.seen: list[Parameters] = []
        self._reply = reply

    async def __call__(self, context: CallContext, parameters: Parameters) -> Result:
        self.seen.append(parameters)
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


class Answer:
    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    def text(self, path: str) -> str | None:
        """Of the first element of the reply there."""
        return ElementTree.fromstring(self.body).findtext("/".join(f"{SPACE}{part}" for part in path.split("/")))


class Wire:
    def __init__(self, port: int) -> None:
        self._port = port

    async def send(
        self, path: str = "/", body: bytes = b"", *, method: str = "POST", authorized: bool = True, **headers: str
    ) -> Answer:
        given = {"host": "localhost", "connection": "close", "content-length": str(len(body))}
        if authorized:
            given["authorization"] = AUTHORIZATION
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        request = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
        return Answer(await exchange(self._port, request))

    async def form(self, path: str = "/", **fields: str) -> Answer:
        named = {name.replace("__", "."): value for name, value in fields.items()}
        content_type = "application/x-www-form-urlencoded; charset=utf-8"
        return await self.send(path, urlencode(named).encode(), content_type=content_type)

    async def json(self, operation: str, document: Any, path: str = "/") -> Answer:
        target = f"AmazonSQS.{operation}"
        return await self.send(
            path, orjson.dumps(document), content_type="application/x-amz-json-1.0", x_amz_target=target
        )


@asynccontextmanager
async def wire(**operations: Recorder) -> AsyncIterator[Wire]:
    async with served(Gateway({"sqs": Service("sqs", operations)}).public()) as port:
        yield Wire(port)


async def test_an_error_in_json_has_the_name_of_its_shape_and_the_code_of_the_older_protocol() -> None:
    async with wire(GetQueueUrl=Recorder(GONE)) as sqs:
        answer = await sqs.json("GetQueueUrl", {"QueueName": "orders"})
    assert answer.status == 400
    assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert orjson.loads(answer.body) == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }


async def test_boto3_sees_both_names() -> None:
    async with aws_client("sqs", {"GetQueueUrl": Recorder(GONE)}) as client:
        with pytest.raises(client.client.exceptions.QueueDoesNotExist) as raised:
            await client.get_queue_url(QueueName="orders")
    error = raised.value.response["Error"]
    assert (error["Code"], error["QueryErrorCode"]) == ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


@pytest.mark.parametrize(
    ("code", "shape", "query", "status"),
    [
        ("InvalidParameterValue", f"{OTHER}#InvalidParameterValueException", "InvalidParameterValue", 400),
        ("MissingParameter", f"{OTHER}#MissingRequiredParameterException", "MissingParameter", 400),
        ("AccessDenied", f"{OTHER}#AccessDeniedException", "AccessDenied", 403),
        ("QueueNameExists", "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists", 400),
        ("ReceiptHandleIsInvalid", "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404),
        (
            "PurgeQueueInProgress",
            "com.amazonaws.sqs#PurgeQueueInProgress",
            "AWS.SimpleQueueService.PurgeQueueInProgress",
            403,
        ),
        ("ResourceNotFoundException", "com.amazonaws.sqs#ResourceNotFoundException", "ResourceNotFoundException", 404),
        ("OverLimit", "com.amazonaws.sqs#OverLimit", "OverLimit", 403),
    ],
)  # fmt: skip
async def test_each_error_has_its_status_and_both_names(code: str, shape: str, query: str, status: int) -> None:
    async with wire(PurgeQueue=Recorder(ApiError(code, "Why."))) as sqs:
        in_json = await sqs.json("PurgeQueue", {"QueueUrl": QUEUE})
        in_xml = await sqs.form(Action="PurgeQueue", QueueUrl=QUEUE)
    assert (in_json.status, in_xml.status) == (status, status)
    assert orjson.loads(in_json.body)["__type"] == shape
    assert in_json.headers["x-amzn-query-error"] == f"{query};Sender"
    assert in_xml.text("Error/Code") == query


async def test_an_error_in_xml_has_its_own_text_and_an_empty_detail() -> None:
    async with wire(GetQueueUrl=Recorder(GONE)) as sqs:
        answer = await sqs.form(Action="GetQueueUrl", QueueName="orders")
    number = answer.headers["x-amzn-requestid"]
    assert answer.headers["content-type"] == "text/xml"
    assert answer.body.decode() == (
        '<?xml version="1.0"?><ErrorResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/"><Error>'
        "<Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>"
        "<Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error>"
        f"<RequestId>{number}</RequestId></ErrorResponse>"
    )


async def test_a_form_becomes_parameters() -> None:
    send = Recorder({"MessageId": "m", "MD5OfMessageBody": "d"})
    async with wire(SendMessage=send) as sqs:
        answer = await sqs.form(
            Action="SendMessage",
            Version="2012-11-05",
            QueueUrl=f"http://localhost{QUEUE}",
            MessageBody="hello & goodbye",
            DelaySeconds="5",
            MessageAttribute__1__Name="one",
            MessageAttribute__1__Value__DataType="String",
            MessageAttribute__1__Value__StringValue="1",
            MessageAttribute__2__Name="two",
            MessageAttribute__2__Value__DataType="Binary",
            MessageAttribute__2__Value__BinaryValue="AAE=",
            MessageSystemAttribute__1__Name="AWSTraceHeader",
            MessageSystemAttribute__1__Value__DataType="String",
            MessageSystemAttribute__1__Value__StringValue="Root=1",
        )
    assert send.seen == [
        {
            "QueueUrl": f"http://localhost{QUEUE}",
            "MessageBody": "hello & goodbye",
            "DelaySeconds": 5,
            "MessageAttributes": {
                "one": {"DataType": "String", "StringValue": "1"},
                "two": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
            },
            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
        }
    ]
    number = answer.headers["x-amzn-requestid"]
    assert answer.body.decode() == (
        '<?xml version="1.0"?><SendMessageResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        "<SendMessageResult><MessageId>m</MessageId><MD5OfMessageBody>d</MD5OfMessageBody></SendMessageResult>"
        f"<ResponseMetadata><RequestId>{number}</RequestId></ResponseMetadata></SendMessageResponse>"
    )


async def test_old_names_of_members_without_a_number_and_in_the_plural() -> None:
    set_, send, tag = Recorder({}), Recorder({}), Recorder({})
    async with wire(SetQueueAttributes=set_, SendMessage=send, TagQueue=tag) as sqs:
        answer = await sqs.form(
            Action="SetQueueAttributes", QueueUrl=QUEUE, Attribute__Name="DelaySeconds", Attribute__Value="9"
        )
        await sqs.form(
            Action="SendMessage",
            QueueUrl=QUEUE,
            MessageBody="b",
            MessageAttributes__1__Name="one",
            MessageAttributes__1__Value__DataType="String",
            MessageAttributes__1__Value__StringValue="1",
        )
        await sqs.form(Action="TagQueue", QueueUrl=QUEUE, Tag__1__Key="a", Tag__1__Value="b")
    assert set_.seen[0]["Attributes"] == {"DelaySeconds": "9"}
    assert "Result" not in answer.body.decode()
    assert send.seen[0]["MessageAttributes"] == {"one": {"DataType": "String", "StringValue": "1"}}
    assert tag.seen[0]["Tags"] == {"a": "b"}


async def test_entries_of_a_batch_and_lists_have_names_of_their_own() -> None:
    send, permit, read = Recorder({"Successful": [{"Id": "a"}], "Failed": []}), Recorder({}), Recorder({})
    async with wire(SendMessageBatch=send, AddPermission=permit, GetQueueAttributes=read) as sqs:
        answer = await sqs.form(
            QUEUE,
            Action="SendMessageBatch",
            SendMessageBatchRequestEntry__1__Id="a",
            SendMessageBatchRequestEntry__1__MessageBody="x",
            SendMessageBatchRequestEntry__2__Id="b",
            SendMessageBatchRequestEntry__2__MessageBody="y",
        )
        await sqs.form(
            QUEUE, Action="AddPermission", Label="l", AWSAccountId__1="111122223333", ActionName__1="SendMessage"
        )
        await sqs.form(QUEUE, Action="GetQueueAttributes", AttributeName__1="All")
    assert send.seen == [
        {"QueueUrl": QUEUE, "Entries": [{"Id": "a", "MessageBody": "x"}, {"Id": "b", "MessageBody": "y"}]}
    ]
    assert answer.text("SendMessageBatchResult/SendMessageBatchResultEntry/Id") == "a"
    assert permit.seen == [
        {"QueueUrl": QUEUE, "Label": "l", "AWSAccountIds": ["111122223333"], "Actions": ["SendMessage"]}
    ]
    assert read.seen == [{"QueueUrl": QUEUE, "AttributeNames": ["All"]}]


async def test_nothing_in_a_body_is_changed_by_xml() -> None:
    body = 'say "hi"\r\n<&> \ttab'
    message = {
        "MessageId": "m",
        "Body": body,
        "Attributes": {"SenderId": "s"},
        "MessageAttributes": {"b": {"BinaryValue": b"\x00", "DataType": "Binary"}},
    }
    async with wire(ReceiveMessage=Recorder({"Messages": [message]})) as sqs:
        answer = await sqs.form(Action="ReceiveMessage", QueueUrl=QUEUE)
    assert b"say &quot;hi&quot;&#xD;\n&lt;&amp;&gt; \ttab" in answer.body
    assert answer.text("ReceiveMessageResult/Message/Body") == body
    assert answer.text("ReceiveMessageResult/Message/Attribute/Name") == "SenderId"
    assert answer.text("ReceiveMessageResult/Message/MessageAttribute/Value/BinaryValue") == "AA=="


async def test_an_empty_receive_is_an_empty_element_in_xml_and_no_key_in_json() -> None:
    async with wire(ReceiveMessage=Recorder({"Messages": []})) as sqs:
        in_xml = await sqs.form(Action="ReceiveMessage", QueueUrl=QUEUE)
        in_json = await sqs.json("ReceiveMessage", {"QueueUrl": QUEUE})
    assert b"<ReceiveMessageResult/>" in in_xml.body
    assert in_json.body == b"{}"


async def test_the_path_of_a_queue_names_it_in_both_protocols_and_a_parameter_wins() -> None:
    purge = Recorder({})
    async with wire(PurgeQueue=purge) as sqs:
        await sqs.form(QUEUE, Action="PurgeQueue")
        await sqs.json("PurgeQueue", {}, QUEUE)
        await sqs.form(QUEUE, Action="PurgeQueue", QueueUrl="/123456789012/other")
    assert [parameters["QueueUrl"] for parameters in purge.seen] == [QUEUE, QUEUE, "/123456789012/other"]


async def test_what_the_path_of_a_queue_does_not_have() -> None:
    operations = {name: Recorder({}) for name in ("ListQueues", "CreateQueue", "GetQueueUrl")}
    async with wire(**operations) as sqs:
        for action in ("ListQueues", "CreateQueue", "DoSomething"):
            answer = await sqs.form(QUEUE, Action=action)
            assert (answer.status, answer.text("Error/Code")) == (400, "InvalidAction")
            assert answer.text("Error/Message") == f"The action {action} is not valid for this endpoint."
        assert (await sqs.form(QUEUE, Action="GetQueueUrl", QueueName="x")).status == 200
        nothing = await sqs.form(QUEUE)
    assert (nothing.status, nothing.body) == (404, b"<UnknownOperationException/>")


async def test_a_presigned_get() -> None:
    send = Recorder({"MessageId": "m"})
    query = urlencode(
        {
            "Action": "SendMessage",
            "MessageBody": "by link",
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": "123456789012/20261120/us-east-1/sqs/aws4_request",
            "X-Amz-Date": "20261120T000000Z",
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": "0",
        }
    )
    async with wire(SendMessage=send) as sqs:
        answer = await sqs.send(f"{QUEUE}?{query}", method="GET", authorized=False)
    assert (answer.status, answer.text("SendMessageResult/MessageId")) == (200, "m")
    assert send.seen == [{"QueueUrl": QUEUE, "MessageBody": "by link"}]


async def test_a_parameter_that_is_missing_is_named() -> None:
    async with wire(SendMessage=Recorder({}), SetQueueAttributes=Recorder({})) as sqs:
        answer = await sqs.form(QUEUE, Action="SendMessage")
        in_json = await sqs.json("SendMessage", {"MessageBody": "b"})
        attributes = await sqs.json("SetQueueAttributes", {"QueueUrl": QUEUE})
    assert (answer.text("Error/Code"), answer.text("Error/Message")) == (
        "MissingParameter",
        "The request must contain the parameter MessageBody.",
    )
    assert orjson.loads(in_json.body)["message"] == "The request must contain the parameter QueueUrl."
    assert orjson.loads(attributes.body)["message"] == "The request must contain the parameter Attribute.Name."


async def test_json_makes_text_of_numbers_and_booleans_and_refuses_text_for_a_number() -> None:
    create, send = Recorder({}), Recorder({})
    async with wire(CreateQueue=create, SendMessage=send) as sqs:
        attributes = {"DelaySeconds": 5, "FifoQueue": True}
        await sqs.json("CreateQueue", {"QueueName": "q", "Attributes": attributes, "tags": {"a": 1}})
        wrong = await sqs.json("SendMessage", {"QueueUrl": QUEUE, "MessageBody": "b", "DelaySeconds": "5"})
        nested = await sqs.json("SendMessage", {"QueueUrl": QUEUE, "MessageBody": {"a": "b"}})
        broken = await sqs.json("SendMessage", [])
    assert create.seen[0]["Attributes"] == {"DelaySeconds": "5", "FifoQueue": "true"}
    assert create.seen[0]["tags"] == {"a": "1"}
    assert {answer.headers["x-amzn-query-error"] for answer in (wrong, nested, broken)} == {"MalformedInput;Sender"}
    assert orjson.loads(wrong.body) == {
        "__type": "com.amazon.coral.service#SerializationException",
        "message": "STRING_VALUE can not be converted to an Integer",
    }
    assert orjson.loads(nested.body)["message"] == "Start of structure or map found where not expected."


async def test_an_unknown_operation_and_a_failure_of_ours() -> None:
    async with wire(PurgeQueue=Recorder(ValueError("a bug"))) as sqs:
        unknown = await sqs.json("DoSomething", {})
        failed = await sqs.json("PurgeQueue", {"QueueUrl": QUEUE})
    assert unknown.headers["x-amzn-query-error"] == "InvalidAction;Sender"
    assert failed.status == 500
    assert failed.headers["x-amzn-query-error"] == "InternalFailure;Receiver"


async def test_a_reply_names_its_request() -> None:
    async with wire(PurgeQueue=Recorder({})) as sqs:
        answer = await sqs.form(QUEUE, Action="PurgeQueue")
    assert re.fullmatch(
        rb'<\?xml version="1.0"\?><PurgeQueueResponse xmlns="http://queue.amazonaws.com/doc/2012-11-05/">'
        rb"<ResponseMetadata><RequestId>[0-9a-f-]{36}</RequestId></ResponseMetadata></PurgeQueueResponse>",
        answer.body,
    )


async def test_boto3_reads_an_error_without_a_shape_by_its_older_code() -> None:
    async with aws_client("sqs", {"PurgeQueue": Recorder(ApiError("InvalidParameterValue", "Why."))}) as client:
        with pytest.raises(ClientError) as raised:
            await client.purge_queue(QueueUrl=QUEUE)
    assert raised.value.response["Error"]["Code"] == "InvalidParameterValue"
