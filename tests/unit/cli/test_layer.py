"""`lambent layer`."""

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.unit.cli.conftest import Outcome, ScriptedServer

Run = Callable[..., Outcome]

ARN = "arn:aws:lambda:us-east-1:000000000000:layer:tools:3"
TOOLS = {
    "LayerName": "tools",
    "LayerArn": ARN[:-2],
    "LatestMatchingVersion": {"LayerVersionArn": ARN, "Version": 3, "CreatedDate": "2026-11-20T12:00:00.000+0000"},
}


def test_lists_layers_under_aligned_headings(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/2018-10-31/layers", {"Layers": [TOOLS]})
    assert run("layer", "list", "--endpoint", server.url).out.splitlines() == [
        f"NAME   VERSION  CREATED              {'ARN'}",
        f"tools  3        2026-11-20T12:00:00  {ARN}",
    ]
    assert json.loads(run("layer", "list", "--json", "--endpoint", server.url).out) == [TOOLS]


def test_no_layers_says_how_to_get_one(run: Run, server: ScriptedServer) -> None:
    server.answer("GET", "/2018-10-31/layers", {"Layers": []})
    assert "lambent layer publish DIR" in run("layer", "list", "--endpoint", server.url).out


def test_a_folder_is_published(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "tools/python").mkdir(parents=True)
    (tmp_path / "tools/python/shared.py").write_text("VALUE = 1\n")
    server.answer("POST", "/2018-10-31/layers/tools/versions", {"LayerVersionArn": ARN}, 201)
    outcome = run("layer", "publish", str(tmp_path / "tools"), "--runtime", "python3.12", "--endpoint", server.url)
    assert (outcome.code, outcome.out) == (0, ARN + "\n")
    sent = json.loads(server.asked[-1][3])
    assert sent["CompatibleRuntimes"] == ["python3.12"]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(sent["Content"]["ZipFile"]))) as archive:
        assert archive.read("python/shared.py") == b"VALUE = 1\n"


def test_an_extension_that_cannot_be_launched_is_named(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "tools/extensions").mkdir(parents=True)
    for name, mode in (("agent", 0o755), ("other", 0o644)):
        (tmp_path / "tools/extensions" / name).write_text("#!/bin/sh\n")
        (tmp_path / "tools/extensions" / name).chmod(mode)
    server.answer("POST", "/2018-10-31/layers/tools/versions", {"LayerVersionArn": ARN}, 201)
    outcome = run("layer", "publish", str(tmp_path / "tools"), "--endpoint", server.url)
    assert outcome.out == ARN + "\n"
    assert f"{tmp_path / 'tools/extensions/other'} is not executable" in outcome.err
    assert "agent" not in outcome.err


def test_a_folder_that_is_not_there_is_wrong_usage(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    outcome = run("layer", "publish", str(tmp_path / "nothing"), "--endpoint", server.url)
    assert outcome.code == 2
    assert "there is no folder" in outcome.err


def test_a_folder_without_files_is_refused_before_anything_is_sent(
    run: Run, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "tools/python").mkdir(parents=True)
    outcome = run("layer", "publish", str(tmp_path / "tools"), "--endpoint", server.url)
    assert outcome.code == 2
    assert "there are no files in" in outcome.err
    assert server.asked == []
