"""`lambent invoke`: call a function, print what it answered."""

import base64
import json
import re
import sys
from pathlib import Path
from urllib.parse import quote

import click

from lambent.cli import options
from lambent.cli.client import Client, Reply
from lambent.cli.failure import FUNCTION_FAILED, USAGE, Failure
from lambent.cli.invoke_stream import print_stream

UNENDED = re.compile(r"(?<=[^\n])(?=END RequestId: [0-9a-f-]{36}\n)")
"""Where what a function printed last did not end its line, as tracebacks of Python's `logging` do not."""


@click.command()
@click.argument("function", type=options.FunctionName())
@click.argument("payload", required=False)
@click.option("--payload-file", type=click.Path(path_type=Path), help="Read the payload from a file.")
@click.option("--qualifier", help="Version or alias.")
@click.option("--tenant-id", help="Whose invocation it is, of a function with tenant isolation.")
@click.option("--async", "event", is_flag=True, help="Do not wait: print the request id when the event is accepted.")
@click.option("--stream", is_flag=True, help="Print what the function writes as it writes it.")
@click.option("--log", is_flag=True, help="Show the end of the invocation's log on stderr.")
@options.as_json
@options.endpoint
@click.pass_context
def invoke(
    ctx: click.Context,
    function: str,
    payload: str | None,
    payload_file: Path | None,
    qualifier: str | None,
    tenant_id: str | None,
    event: bool,
    stream: bool,
    log: bool,
    as_json: bool,
    endpoint: str | None,
) -> None:
    """Invoke FUNCTION (a name or an ARN) with the JSON text PAYLOAD; `-` reads it from stdin, none sends {}.

    Prints the function's answer. When the function failed, its error is printed and the exit code is 1. What was
    accepted with --async is shown by `lambent events`.
    """
    if event and log:
        raise Failure(
            "an event is accepted without being waited for: there is no log to show; see: lambent logs", USAGE
        )
    if stream and (event or as_json):
        raise Failure(f"--stream does not go with {'--async' if event else '--json'}", USAGE)
    body = read_payload(payload, payload_file)
    query = {"Qualifier": qualifier} if qualifier else None
    if stream:
        succeeded = print_stream(Client.choose(endpoint), quote(function, safe=""), query, body, log=log)
        ctx.exit(0 if succeeded else FUNCTION_FAILED)
    path = f"/2015-03-31/functions/{quote(function, safe='')}/invocations"
    kind = "Event" if event else "RequestResponse"
    headers = {"content-type": "application/json", "x-amz-invocation-type": kind}
    if tenant_id is not None:
        headers["x-amz-tenant-id"] = tenant_id
    if not event and (log or as_json):
        headers["x-amz-log-type"] = "Tail"
    reply = Client.choose(endpoint).call("POST", path, query, body, headers)
    if event:
        accepted = {"StatusCode": reply.status, "RequestId": reply.headers.get("x-amzn-requestid", "")}
        click.echo(json.dumps(accepted, indent=2) if as_json else accepted["RequestId"])
        return
    if log and not as_json:
        # Inside a message, runtimes write lines apart with CR, as on AWS; a terminal would overwrite them.
        text = UNENDED.sub("\n", _log(reply).replace("\r", "\n"))
        click.echo(text, err=True, nl=not text.endswith("\n"))  # A JSON log ends without one.
    click.echo(json.dumps(describe(reply), indent=2) if as_json else reply.body.decode("utf-8", "replace"))
    failed = "x-amz-function-error" in reply.headers
    if failed and not as_json:
        click.echo(f"lambent: the function failed ({reply.headers['x-amz-function-error']})", err=True)
    ctx.exit(FUNCTION_FAILED if failed else 0)


def read_payload(payload: str | None, file: Path | None) -> bytes:
    """The bytes to send, which are JSON. Raises `Failure` when they are not, or cannot be read."""
    if payload is not None and file is not None:
        raise Failure("give the payload or --payload-file, not both", USAGE)
    if file is not None:
        place = str(file)
        try:
            body = file.read_bytes()
        except OSError as error:
            raise Failure(f"cannot read the payload: {file}: {error.strerror}", USAGE) from error
    elif payload == "-":
        place = "stdin"
        body = sys.stdin.buffer.read()
    else:
        place = "PAYLOAD"
        body = (payload or "{}").encode()
    try:
        json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Failure(f"the payload ({place}) is not JSON: {error}", USAGE) from None
    return body


def describe(reply: Reply) -> dict[str, object]:
    """An answer for scripts: what AWS's headers say, and the payload parsed where it is JSON."""
    try:
        payload = reply.json()
    except ValueError:
        payload = reply.body.decode("utf-8", "replace")
    return {
        "StatusCode": reply.status,
        "FunctionError": reply.headers.get("x-amz-function-error"),
        "ExecutedVersion": reply.headers.get("x-amz-executed-version"),
        "RequestId": reply.headers.get("x-amzn-requestid"),
        "LogResult": _log(reply),
        "Payload": payload,
    }


def _log(reply: Reply) -> str:
    return base64.b64decode(reply.headers.get("x-amz-log-result", "")).decode("utf-8", "replace")
