"""The bootstrap, and boto3 in it, under every interpreter that this machine has."""

import json
import os
from pathlib import Path

import pytest

from lambent.runtimes.catalog import Catalog
from lambent.runtimes.interpreters import places
from lambent.runtimes.layout import Layout
from lambent.runtimes.python.files import runtime_files
from lambent.runtimes.python.runtime import PythonRuntime
from lambent.runtimes.variables import Process
from lambent.testing.scripted_runtime_api import Event
from tests.contract.runtimes.runtime_process import OURS, run

RUNTIMES = Catalog(places(os.environ)).available()

APP = """
import logging
import os
import sys
from collections import namedtuple
from decimal import Decimal

def handler(event, context):
    print("printed")
    logging.warning("logged %s", event["n"])
    if event["n"] == 2:
        raise ValueError("two")
    return {
        "version": "python%d.%d" % sys.version_info[:2],
        "path": sys.path,
        "argv": sys.argv,
        "cwd": os.getcwd(),
        "prefix": sys.prefix,
        "values": [Decimal("1.10"), namedtuple("P", "x")(1), b"b", "\\u00e9"],
        "internal": [name for name in os.environ if "LAMBENT" in name],
    }

def with_boto3(event, context):
    import boto3

    client = boto3.client("s3")
    table = boto3.resource("dynamodb").Table("t")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    return [boto3.__file__, url.partition("?")[0], table.name, client.meta.endpoint_url]
"""


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.identifier)
def runtime(request: pytest.FixtureRequest) -> PythonRuntime:
    found: PythonRuntime = request.param
    return found


@pytest.fixture
def layout(tmp_path: Path, runtime: PythonRuntime) -> Layout:
    (tmp_path / "task").mkdir()
    (tmp_path / "task/app.py").write_text(APP)
    (tmp_path / "runtime").mkdir()
    for name, path in runtime_files().items():
        (tmp_path / "runtime" / name).symlink_to(path)
    return Layout(
        task=str(tmp_path / "task"),
        runtime=str(tmp_path / "runtime"),
        lang=str(runtime.prefix),
        opt=str(tmp_path / "opt"),
        tmp=str(tmp_path),
        runtime_api="127.0.0.1:1",
        aws_endpoint_url="http://127.0.0.1:4566",
    )


def process(runtime: PythonRuntime, handler: str) -> Process:
    return Process(
        runtime=runtime.identifier,
        handler=handler,
        function_name="f",
        function_version="$LATEST",
        memory_mb=128,
        region="eu-central-1",
        log_group="g",
        log_stream="s",
        access_key_id="AKID",
        secret_access_key="secret",
        session_token="token",
    )


def test_handlers_run_with_the_path_of_lambda(runtime: PythonRuntime, layout: Layout) -> None:
    command = runtime.command(process(runtime, "app.handler"))(layout)
    outcome = run(OURS, Path(layout.task), "app.handler", [Event(b'{"n": 1}'), Event(b'{"n": 2}')], command=command)
    assert outcome.end == "waiting", outcome.stderr
    answer, error = outcome.payloads()
    version = runtime.identifier
    library = f"{runtime.prefix}/lib/{version}"
    assert answer["version"] == version
    assert answer["path"] == [
        layout.task,
        f"{layout.opt}/python/lib/{version}/site-packages",
        f"{layout.opt}/python",
        layout.runtime,
        f"{runtime.prefix}/lib/{version.replace('.', '')}.zip",
        library,
        f"{library}/lib-dynload",
    ]
    assert answer["argv"] == [f"{layout.runtime}/bootstrap.py"]
    assert answer["cwd"] == layout.task
    assert answer["prefix"] == str(runtime.prefix)
    assert answer["values"] == [1.1, {"x": 1}, "b", "\u00e9"]
    assert answer["internal"] == []
    escaped = version in ("python3.9", "python3.10", "python3.11")
    assert (b"\\u00e9" in outcome.posts[0].body) == escaped
    assert (error["errorType"], error["errorMessage"], len(error["stackTrace"])) == ("ValueError", "two", 1)
    # Records are framed in the output, each with 16 bytes before it.
    assert outcome.stdout.startswith("printed\n")
    assert "[WARNING]\t" in outcome.stdout
    assert "[ERROR] ValueError: two\nTraceback" in outcome.stdout


def test_boto3_is_there(runtime: PythonRuntime, layout: Layout) -> None:
    command = runtime.command(process(runtime, "app.with_boto3"))(layout)
    outcome = run(OURS, Path(layout.task), "app.with_boto3", [Event()], command=command)
    assert json.loads(outcome.posts[0].body) == [
        f"{layout.runtime}/boto3/__init__.py",
        "http://127.0.0.1:4566/b/k",
        "t",
        "http://127.0.0.1:4566",
    ]
