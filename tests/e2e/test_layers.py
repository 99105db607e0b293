"""Layers at work: what a function finds below /opt in a real sandbox, and that it stays over deletes and restarts."""

import io
import json
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from lambent.testing.running_server import Server
from tests.e2e.packages import create_function, wait_active, wait_updated

SITE_PACKAGES = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
OTHER = "210987654321"
TOOL = "#!/bin/sh\necho tool of $1\n"

LOOKS = """
import os, shutil, subprocess, sys

def found(opt):
    return sorted(os.path.relpath(os.path.join(place, name), opt) for place, _, names in os.walk(opt) for name in names)

def handler(event, context):
    opt = next(entry for entry in sys.path if entry.endswith("/python") and "/lib/" not in entry)[: -len("/python")]
    try:
        open(opt + "/written", "w").close()
        written = "yes"
    except OSError as error:
        written = type(error).__name__
    tool = shutil.which("tool")
    output = subprocess.run(["tool", "layer"], capture_output=True, text=True).stdout if tool else None
    return {"opt": opt, "files": found(opt), "written": written, "tool": output,
            "lib": os.environ["LD_LIBRARY_PATH"].split(":")[-1][len(opt):],
            "path": [entry[len(opt):] for entry in sys.path if entry.startswith(opt)]}
"""

IMPORTS = """
import shared, vendored
def handler(event, context):
    return [shared.VALUE, vendored.VALUE]
"""


def layer(files: Mapping[str, str], *, executable: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, text)
    return buffer.getvalue()


def publish(client: Any, name: str, files: Mapping[str, str], **options: bool) -> str:
    reply = client.publish_layer_version(LayerName=name, Content={"ZipFile": layer(files, **options)})
    arn: str = reply["LayerVersionArn"]
    return arn


def invoke(client: Any, name: str) -> Any:
    reply = client.invoke(FunctionName=name, Payload=b"{}")
    answer = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    return answer


def test_packages_of_a_layer_are_imported(lambda_client: Any) -> None:
    arn = publish(
        lambda_client,
        "imports",
        {"python/shared.py": "VALUE = 'python'", f"{SITE_PACKAGES}/vendored.py": "VALUE = 'site-packages'"},
    )
    create_function(lambda_client, "imports", IMPORTS, Layers=[arn])
    assert invoke(lambda_client, "imports") == ["python", "site-packages"]


def test_the_later_layer_wins(lambda_client: Any) -> None:
    first = publish(lambda_client, "first", {"python/shared.py": "VALUE = 1", "python/vendored.py": "VALUE = 1"})
    second = publish(lambda_client, "second", {"python/shared.py": "VALUE = 2"})
    create_function(lambda_client, "order", IMPORTS, Layers=[first, second])
    assert invoke(lambda_client, "order") == [2, 1]
    lambda_client.update_function_configuration(FunctionName="order", Layers=[second, first])
    wait_updated(lambda_client, "order")
    assert invoke(lambda_client, "order") == [1, 1]


def test_opt_is_read_only_and_on_the_paths(lambda_client: Any) -> None:
    tool = publish(lambda_client, "tool", {"bin/tool": TOOL}, executable=True)
    library = publish(lambda_client, "library", {"lib/data": "x", "nodejs/node_modules/m/index.js": "x"})
    create_function(lambda_client, "paths", LOOKS, Layers=[tool, library])
    seen = invoke(lambda_client, "paths")
    assert seen["files"] == ["bin/tool", "lib/data", "nodejs/node_modules/m/index.js"]
    assert seen["tool"] == "tool of layer\n"
    assert seen["written"] in ("OSError", "PermissionError")
    assert seen["lib"] == "/lib"
    assert seen["path"] == ["/" + SITE_PACKAGES, "/python"]


def test_a_function_without_layers_has_an_empty_opt(server: Server, lambda_client: Any) -> None:
    create_function(lambda_client, "bare", LOOKS)
    seen = invoke(lambda_client, "bare")
    assert (seen["files"], seen["tool"]) == ([], None)


def test_another_account_uses_a_layer_that_it_was_granted(server: Server) -> None:
    owner, guest = server.client("lambda"), server.client("lambda", account=OTHER)
    arn = publish(owner, "granted", {"python/shared.py": "VALUE = 1", "python/vendored.py": "VALUE = 1"})
    with pytest.raises(ClientError, match="AccessDenied"):
        create_function(guest, "guest", IMPORTS, Layers=[arn])
    owner.add_layer_version_permission(
        LayerName="granted", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=OTHER
    )
    create_function(guest, "guest", IMPORTS, Layers=[arn])
    owner.remove_layer_version_permission(LayerName="granted", VersionNumber=1, StatementId="s")
    assert invoke(guest, "guest") == [1, 1]


def test_deleted_layers_still_start_cold_after_a_restart(start_server: Callable[..., Server]) -> None:
    first = start_server()
    client = first.client("lambda")
    arns = [
        publish(client, "one", {"python/shared.py": "VALUE = 1"}),
        publish(client, "two", {"python/vendored.py": "VALUE = 2"}),
    ]
    create_function(client, "kept", IMPORTS, Layers=arns)
    for name in ("one", "two"):
        client.delete_layer_version(LayerName=name, VersionNumber=1)
    first.kill()
    client = start_server().client("lambda")
    assert client.list_layers()["Layers"] == []
    assert invoke(client, "kept") == [1, 2]
    assert client.publish_layer_version(LayerName="one", Content={"ZipFile": layer({"a": "b"})})["Version"] == 2


def test_kill_while_publishing_leaves_whole_versions_alone(start_server: Callable[..., Server]) -> None:
    server = start_server()
    acknowledged: dict[int, int] = {}
    enough = threading.Event()

    def keep_publishing() -> None:
        client = server.client("lambda")
        for size in range(1000):
            try:
                archive = layer({"python/shared.py": f"VALUE = {size}\n", "python/vendored.py": "VALUE = 0\n" * 2000})
                reply = client.publish_layer_version(LayerName="l", Content={"ZipFile": archive})
            except (BotoCoreError, ClientError):
                return
            acknowledged[reply["Version"]] = size
            if len(acknowledged) == 20:
                enough.set()

    writer = threading.Thread(target=keep_publishing)
    writer.start()
    assert enough.wait(60)
    server.kill()
    writer.join(60)
    client = start_server().client("lambda")
    pages = client.get_paginator("list_layer_versions").paginate(LayerName="l")
    found = [version for page in pages for version in page["LayerVersions"]]
    # One more than was acknowledged may have been committed.
    assert {version["Version"] for version in found} >= acknowledged.keys()
    assert len(found) - len(acknowledged) in (0, 1)
    newest, oldest = found[0]["LayerVersionArn"], found[-1]["LayerVersionArn"]
    create_function(client, "f", IMPORTS, Layers=[newest])
    assert invoke(client, "f") == [len(found) - 1, 0]
    client.update_function_configuration(FunctionName="f", Layers=[oldest])
    wait_updated(client, "f")
    wait_active(client, "f")
    assert invoke(client, "f") == [0, 0]
