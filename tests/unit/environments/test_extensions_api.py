"""The Extensions API over real connections: each route, each refusal, and what a hostile extension gets."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from lambent.core.lifecycle import IllegalTransition, step
from lambent.environments.extensions.api import MAX_BODY_BYTES, ExtensionsApi, FunctionFacts
from lambent.environments.extensions.states import NEXT, Extension, ExtensionState
from lambent.environments.request import Answer
from lambent.environments.runtime_api import RuntimeApi
from lambent.environments.runtime_http import HttpRequest
from lambent.testing.scripted_runtime import Reply
from tests.unit.environments.kit import request, until, within

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SOMEBODY = "11111111-1111-4111-8111-111111111111"
ALLOWED = "Error: State transition is not allowed"


@dataclass
class Events:
    registered: list[str] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    def extension_registered(self, extension: Extension) -> None:
        self.registered.append(extension.name)

    def extension_ready(self, extension: Extension) -> None:
        self.ready.append(extension.name)

    def extension_reported(self, extension: Extension) -> None:
        self.reported.append(extension.name)

    def runtime_ready(self) -> None: ...

    def runtime_answered(self, answer: Answer) -> None: ...

    def runtime_init_failed(self, answer: Answer) -> None: ...


class Client:
    """One connection of an extension."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> None:
        head = f"{method} /2020-01-01/extension{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"{head}\r\n".encode() + body)

    async def reply(self) -> Reply:
        head = (await within(self._reader.readuntil(b"\r\n\r\n"))).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await within(self._reader.readexactly(int(headers["content-length"])))
        return Reply(int(first.split(" ")[1]), headers, body)

    async def call(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        self.send(method, path, headers, body)
        return await self.reply()


class Api:
    """An API that expects the external extensions `first` and `second`."""

    def __init__(self) -> None:
        self.events = Events()
        self.api = ExtensionsApi(FunctionFacts("123456789012", "thumbnail", "7", "app.handler"), self.events)
        self.api.begin(["first", "second"])
        self.server = RuntimeApi(self.events, 6_291_556, self.api)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.clients: list[Client] = []

    async def connect(self) -> Client:
        client = Client(*await within(asyncio.open_connection(*self.address)))
        self.clients.append(client)
        return client

    async def call(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Reply:
        return await (await self.connect()).call(method, path, headers, body)

    async def register(self, name: str = "first", body: bytes = b'{"events":["INVOKE","SHUTDOWN"]}') -> str:
        reply = await self.call("POST", "/register", {"Lambda-Extension-Name": name}, body)
        assert reply.status == 200, reply.body
        return reply.headers["lambda-extension-identifier"]

    async def parked(self, name: str = "first") -> tuple[Client, str]:
        """A registered extension that waits for an event."""
        identifier = await self.register(name)
        client = await self.connect()
        client.send("GET", "/event/next", {"Lambda-Extension-Identifier": identifier})
        await until(lambda: name in self.events.ready)
        return client, identifier

    def close(self) -> None:
        for client in self.clients:
            client.writer.close()
        self.server.close()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    made = Api()
    await made.server.serve([made.listener])
    yield made
    made.close()
    await within(made.server.drained())


def refusal(reply: Reply, status: int = 403) -> tuple[str, str]:
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    body = json.loads(reply.body)
    return body["errorType"], body["errorMessage"]


async def test_an_external_extension_registers_under_the_name_of_its_file(api: Api) -> None:
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "first"}, b'{"events":["INVOKE"]}')
    assert reply.status == 200
    assert json.loads(reply.body) == {
        "functionName": "thumbnail",
        "functionVersion": "7",
        "handler": "app.handler",
    }
    assert UUID.fullmatch(reply.headers["lambda-extension-identifier"])
    assert api.events.registered == ["first"]


@pytest.mark.parametrize("features", ["accountId", "other, accountId ,"])
async def test_the_feature_account_id_adds_the_account(api: Api, features: str) -> None:
    headers = {"Lambda-Extension-Name": "first", "Lambda-Extension-Accept-Feature": features}
    reply = await api.call("POST", "/register", headers, b'{"events":[]}')
    assert json.loads(reply.body)["accountId"] == "123456789012"


async def test_unknown_features_are_passed_over(api: Api) -> None:
    headers = {"Lambda-Extension-Name": "first", "Lambda-Extension-Accept-Feature": "somethingNew"}
    reply = await api.call("POST", "/register", headers, b"{}")
    assert "accountId" not in json.loads(reply.body)


async def test_any_other_name_is_an_internal_extension(api: Api) -> None:
    await api.register("thread", b'{"events":["INVOKE"]}')
    assert [each.external for each in api.api.extensions] == [True, True, False]


async def test_invoke_goes_to_those_who_asked_for_it(api: Api) -> None:
    client, _ = await api.parked("first")
    other = await api.register("second", b'{"events":["SHUTDOWN"]}')
    call = request(request_id=SOMEBODY, trace_header="Root=1-5f-a;Parent=b;Sampled=1")
    assert [each.name for each in api.api.invoke(call, 1234)] == ["first"]
    reply = await client.reply()
    assert reply.status == 200
    assert UUID.fullmatch(reply.headers["lambda-extension-event-identifier"])
    assert json.loads(reply.body) == {
        "eventType": "INVOKE",
        "deadlineMs": 1234,
        "requestId": SOMEBODY,
        "invokedFunctionArn": call.function_arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1-5f-a;Parent=b;Sampled=1"},
    }
    assert other


async def test_an_invocation_without_a_trace_has_no_tracing(api: Api) -> None:
    client, _ = await api.parked()
    api.api.invoke(request(), 1)
    assert "tracing" not in json.loads((await client.reply()).body)


async def test_shutdown_goes_to_external_subscribers_with_reason_and_deadline(api: Api) -> None:
    client, _ = await api.parked()
    assert [each.name for each in api.api.shut_down(99, "timeout")] == ["first"]
    reply = await client.reply()
    assert UUID.fullmatch(reply.headers["lambda-extension-event-identifier"])
    assert json.loads(reply.body) == {"eventType": "SHUTDOWN", "deadlineMs": 99, "shutdownReason": "timeout"}


async def test_an_extension_that_is_at_work_gets_shutdown_when_it_asks(api: Api) -> None:
    client, identifier = await api.parked()
    api.api.invoke(request(), 1)
    await client.reply()
    api.api.shut_down(99, "failure")
    reply = await client.call("GET", "/event/next", {"Lambda-Extension-Identifier": identifier})
    assert json.loads(reply.body)["eventType"] == "SHUTDOWN"


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("", b"{}", ("Extension.InvalidExtensionName", "Empty extension name")),
        ("x" * 256, b"{}", ("Extension.InvalidExtensionName", "Extension name is too long")),
        ("first", b"", ("InvalidRequestFormat", "unexpected end of JSON input")),
        ("first", b"[]", ("InvalidRequestFormat", "the body must be a JSON object")),
        ("first", b'{"events":"INVOKE"}', ("InvalidRequestFormat", "events must be a list of strings")),
        ("first", b'{"events":[1]}', ("InvalidRequestFormat", "events must be a list of strings")),
        (
            "first",
            b'{"events":[],"configurationKeys":["a"]}',
            (
                "InvalidRequestFormat",
                "configurationKeys are deprecated; use environment variables instead",
            ),
        ),
        ("first", b'{"events":["abc"]}', ("Extension.InvalidEventType", "abc: ErrorInvalidEventType")),
        ("thread", b'{"events":["invoke"]}', ("Extension.InvalidEventType", "invoke: ErrorInvalidEventType")),
        (
            "thread",
            b'{"events":["INVOKE","SHUTDOWN"]}',
            ("Extension.InvalidEventType", "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"),
        ),
    ],
)
async def test_a_registration_that_is_wrong_is_refused_and_changes_nothing(
    api: Api, name: str, body: bytes, error: tuple[str, str]
) -> None:
    for _ in range(2):
        assert refusal(await api.call("POST", "/register", {"Lambda-Extension-Name": name}, body)) == error
    assert [each.state for each in api.api.extensions] == [ExtensionState.STARTED] * 2
    assert not api.events.registered


async def test_json_that_is_none_is_refused(api: Api) -> None:
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "first"}, b"{events")
    assert refusal(reply)[0] == "InvalidRequestFormat"


async def test_an_external_extension_registers_once(api: Api) -> None:
    await api.register()
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "first"}, b"{}")
    assert refusal(reply) == (
        "Extension.InvalidExtensionState",
        f"State transition from Registered to Registered failed for extension first. {ALLOWED}",
    )


async def test_an_internal_extension_registers_once(api: Api) -> None:
    await api.register("thread", b"{}")
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "thread"}, b"{}")
    assert refusal(reply) == ("Extension.InvalidExtensionState", "Extension with this name already registered")


async def test_there_are_ten_extensions_at_most(api: Api) -> None:
    for number in range(8):
        await api.register(f"thread-{number}", b"{}")
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "one-more"}, b"{}")
    assert refusal(reply) == ("Extension.TooManyExtensions", "Extension limit (10) reached")
    assert await api.register("second")


async def test_nobody_new_registers_after_the_runtime_is_ready(api: Api) -> None:
    api.api.close_registration()
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "late"}, b"{}")
    assert refusal(reply) == ("Extension.RegistrationClosed", "Extension registration closed already")


@pytest.mark.parametrize(
    ("method", "path", "unknown"),
    [
        ("GET", "/event/next", f"Unknown extension {SOMEBODY}"),
        ("POST", "/init/error", "Unknown Lambda-Extension-Identifier"),
        ("POST", "/exit/error", "Unknown Lambda-Extension-Identifier"),
    ],
)
async def test_a_caller_must_say_who_it_is(api: Api, method: str, path: str, unknown: str) -> None:
    kind = {"Lambda-Extension-Function-Error-Type": "Extension.X"}
    assert refusal(await api.call(method, path, kind)) == (
        "Extension.MissingExtensionIdentifier",
        "Missing Lambda-Extension-Identifier header",
    )
    assert refusal(await api.call(method, path, {**kind, "Lambda-Extension-Identifier": "me"})) == (
        "Extension.InvalidExtensionIdentifier",
        "Invalid Lambda-Extension-Identifier",
    )
    assert refusal(await api.call(method, path, {**kind, "Lambda-Extension-Identifier": SOMEBODY})) == (
        "Extension.UnknownExtensionIdentifier",
        unknown,
    )


@pytest.mark.parametrize("path", ["/init/error", "/exit/error"])
async def test_a_report_needs_its_error_type(api: Api, path: str) -> None:
    identifier = await api.register()
    assert refusal(await api.call("POST", path, {"Lambda-Extension-Identifier": identifier})) == (
        "Extension.MissingHeader",
        "Lambda-Extension-Function-Error-Type not found",
    )


@pytest.mark.parametrize(
    ("path", "state"), [("/init/error", ExtensionState.INIT_ERROR), ("/exit/error", ExtensionState.EXIT_ERROR)]
)
async def test_a_report_is_told_once_and_the_first_error_stays(api: Api, path: str, state: ExtensionState) -> None:
    identifier = await api.register()
    for error_type in ("Extension.First", "Extension.Second"):
        headers = {
            "Lambda-Extension-Identifier": identifier,
            "Lambda-Extension-Function-Error-Type": error_type,
        }
        reply = await api.call("POST", path, headers, b'{"errorMessage":"no key"}')
        assert (reply.status, reply.body) == (202, b'{"status":"OK"}')
    extension = api.api.extensions[0]
    assert (extension.state, extension.error_type) == (state, "Extension.First")
    assert api.events.reported == ["first"]


async def test_an_init_error_after_the_init_is_refused(api: Api) -> None:
    client, identifier = await api.parked()
    headers = {"Lambda-Extension-Identifier": identifier, "Lambda-Extension-Function-Error-Type": "Extension.X"}
    assert refusal(await api.call("POST", "/init/error", headers)) == (
        "Extension.InvalidExtensionState",
        f"State transition from Ready to InitError failed for extension {identifier}. {ALLOWED}",
    )
    assert client


async def test_nobody_waits_twice(api: Api) -> None:
    _, identifier = await api.parked()
    assert refusal(await api.call("GET", "/event/next", {"Lambda-Extension-Identifier": identifier})) == (
        "Extension.InvalidExtensionState",
        f"State transition from Ready to Ready failed for extension {identifier}. {ALLOWED}",
    )


async def test_an_extension_that_lost_its_connection_loses_the_event_and_may_ask_again(api: Api) -> None:
    client, identifier = await api.parked()
    client.writer.close()
    await until(lambda: api.api.extensions[0].parked is None)
    assert len(api.api.invoke(request(), 1)) == 1
    again = await api.connect()
    again.send("GET", "/event/next", {"Lambda-Extension-Identifier": identifier})
    await until(lambda: api.events.ready == ["first", "first"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/register", 405),
        ("POST", "/event/next", 405),
        ("GET", "/init/error", 405),
        ("GET", "/exit/error", 405),
        ("GET", "/", 404),
        ("GET", "/event/previous", 404),
    ],
)
async def test_other_methods_and_paths_are_not_there(api: Api, method: str, path: str, status: int) -> None:
    assert (await api.call(method, path, {})).status == status


async def test_an_api_that_is_off_is_not_there(api: Api) -> None:
    api.api.begin(None)
    assert (await api.call("POST", "/register", {"Lambda-Extension-Name": "first"}, b"{}")).status == 404
    for_telemetry = HttpRequest(b"PUT", b"/2022-07-01/telemetry", {}, b"", {}, False)
    refused = api.api.caller(for_telemetry)
    assert isinstance(refused, bytes)
    assert refused.startswith(b"HTTP/1.1 404 ")


async def test_a_body_beyond_reason_is_refused(api: Api) -> None:
    reply = await api.call("POST", "/register", {"Lambda-Extension-Name": "first"}, b" " * (MAX_BODY_BYTES + 1))
    assert refusal(reply, 413)[0] == "RequestEntityTooLarge"
    assert await api.register()


async def test_thousands_of_registrations_leave_ten_extensions(api: Api) -> None:
    client = await api.connect()
    for number in range(2000):
        await client.call("POST", "/register", {"Lambda-Extension-Name": f"thread-{number}"}, b"{}")
    assert len(api.api.extensions) == 10


@pytest.mark.parametrize("state", list(ExtensionState))
def test_every_state_has_its_successors_and_no_others(state: ExtensionState) -> None:
    for target in ExtensionState:
        if target in NEXT[state]:
            assert step(NEXT, state, target) is target
        else:
            with pytest.raises(IllegalTransition):
                step(NEXT, state, target)
