"""`lambent deploy` and its `--watch` against a real server."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.testing.running_server import Server

COMMAND = str(Path(sys.executable).parent / "lambent")
LONGEST_S = 30.0


def handler(answer: object) -> str:
    return f"def handler(event, context):\n    return {answer!r}\n"


def invoked(client: Any, name: str) -> Any:
    return json.loads(client.invoke(FunctionName=name)["Payload"].read())


@pytest.fixture
def variables(server: Server, tmp_path: Path) -> dict[str, str]:
    """Of the command: this server, a home of its own, packages from a folder."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(("LAMBENT_", "AWS_"))}
    own = {"LAMBENT_ENDPOINT": server.url, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONUNBUFFERED": "1"}
    return {**found, **own, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}


@pytest.fixture
def deploy(variables: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [COMMAND, "deploy", *arguments]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=LONGEST_S, check=False)

    return run


def test_a_folder_is_created_left_alone_updated_and_configured(
    deploy: Callable[..., subprocess.CompletedProcess[str]], lambda_client: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "greeter one"
    folder.mkdir()
    (folder / "app.py").write_text(handler(1))
    made = deploy(str(folder))
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("created   greeter-one (python3.")
    assert "lambent invoke greeter-one" in made.stdout
    assert invoked(lambda_client, "greeter-one") == 1
    again = deploy(str(folder))
    assert again.stdout.startswith("unchanged greeter-one")
    (folder / "app.py").write_text(handler(2))
    changed = deploy(str(folder), "--timeout", "9", "--env", "COLOUR=red")
    assert "changed   Timeout 3 -> 9, environment variables, code\n" in changed.stdout
    assert "red" not in changed.stdout
    assert invoked(lambda_client, "greeter-one") == 2
    found = lambda_client.get_function_configuration(FunctionName="greeter-one")
    assert (found["Timeout"], found["Environment"]["Variables"]) == (9, {"COLOUR": "red"})


def wheel(tmp_path: Path, name: str, files: dict[str, bytes]) -> None:
    """A package for pip, in the folder that it looks in."""
    (tmp_path / "wheels").mkdir(exist_ok=True)
    with zipfile.ZipFile(tmp_path / "wheels" / f"{name}-1.0-py3-none-any.whl", "w") as file:
        for path, content in files.items():
            file.writestr(path, content)
        file.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        file.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{name}-1.0.dist-info/RECORD", "")


def test_requirements_are_in_the_package(
    deploy: Callable[..., subprocess.CompletedProcess[str]], lambda_client: Any, tmp_path: Path
) -> None:
    wheel(tmp_path, "answer", {"answer/__init__.py": b"value = 42\n"})
    folder = tmp_path / "asking"
    folder.mkdir()
    (folder / "requirements.txt").write_text("answer\n")
    (folder / "app.py").write_text("import answer\ndef handler(event, context): return answer.value\n")
    made = deploy(str(folder))
    assert made.returncode == 0, made.stderr
    assert invoked(lambda_client, "asking") == 42
    (folder / "requirements.txt").write_text("no-such-package-anywhere\n")
    refused = deploy(str(folder))
    assert refused.returncode == 2
    assert refused.stderr.startswith("lambent: cannot install requirements.txt of the function: ")
    assert invoked(lambda_client, "asking") == 42


class Watching:
    """A command that watches, and what it has said so far."""

    def __init__(self, folder: Path, variables: dict[str, str], *arguments: str) -> None:
        self._log = (folder.parent / "watching.log").open("w+", encoding="utf-8")
        command = [COMMAND, "deploy", str(folder), "--watch", *arguments]
        self.process = subprocess.Popen(command, env=variables, stdout=self._log, stderr=self._log, text=True)

    def said(self) -> str:
        return Path(self._log.name).read_text(encoding="utf-8")

    def until(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_S
        while not happened():
            assert time.monotonic() < deadline, self.said()
            assert self.process.poll() is None, self.said()

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(timeout=LONGEST_S)
        self._log.close()
        return code


@pytest.fixture
def watch(variables: dict[str, str]) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(folder: Path, *arguments: str) -> Watching:
        started.append(Watching(folder, variables, *arguments))
        started[-1].until(lambda: "watching " in started[-1].said())
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)


def test_a_saved_file_is_live_at_the_next_invocation(
    watch: Callable[..., Watching], lambda_client: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "app.py").write_text(handler("first"))
    watching = watch(folder)
    assert invoked(lambda_client, "watched") == "first"
    (folder / "app.py").write_text(handler("second"))
    watching.until(lambda: invoked(lambda_client, "watched") == "second")
    # As editors save, and with a module in a new folder.
    (folder / "lib").mkdir()
    (folder / "lib" / "words.py").write_text("word = 'third'\n")
    (folder / "app.py.tmp").write_text("from lib.words import word\ndef handler(event, context): return word\n")
    (folder / "app.py.tmp").rename(folder / "app.py")
    watching.until(lambda: invoked(lambda_client, "watched") == "third")
    (folder / "lib" / "words.py").write_text("word = 'fourth'\n")
    watching.until(lambda: invoked(lambda_client, "watched") == "fourth")
    assert watching.end() == 0
    assert "Traceback" not in watching.said()


def test_an_error_is_shown_and_watching_goes_on(
    watch: Callable[..., Watching], lambda_client: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "erring"
    folder.mkdir()
    (folder / "app.py").write_text(handler(1))
    watching = watch(folder, "--logs")
    (folder / "away").symlink_to("/etc/hostname")
    watching.until(lambda: "the link away leads out of the folder" in watching.said())
    assert invoked(lambda_client, "erring") == 1
    (folder / "away").unlink()
    (folder / "app.py").write_text(
        "def handler(event, context):\n    print('seen', 'in', 'the', 'log')\n    return 2\n"
    )
    watching.until(lambda: invoked(lambda_client, "erring") == 2)
    watching.until(lambda: "seen in the log" in watching.said())
    lambda_client.delete_function(FunctionName="erring")
    (folder / "app.py").write_text(handler(3))
    watching.until(lambda: "deleted meanwhile; Ctrl-C and the same command" in watching.said())
    assert watching.end() == 0


def test_watching_large_requirements_puts_them_in_a_layer_and_deploying_takes_them_back(
    watch: Callable[..., Watching],
    deploy: Callable[..., subprocess.CompletedProcess[str]],
    lambda_client: Any,
    tmp_path: Path,
) -> None:
    large = {"large/__init__.py": b"value = 1\n", "large/data.bin": os.urandom(400_000)}
    wheel(tmp_path, "large", large)
    wheel(tmp_path, "other", {"other.py": b"value = 5\n"})
    folder = tmp_path / "leaning"
    folder.mkdir()
    (folder / "requirements.txt").write_text("large\n")
    source = "import large\ndef handler(event, context): return large.value + {}\n"
    (folder / "app.py").write_text(source.format(0))

    def state() -> tuple[list[str], bool]:
        found = lambda_client.get_function_configuration(FunctionName="leaning")
        return [layer["Arn"].rpartition(":layer:")[2] for layer in found.get("Layers", ())], found["CodeSize"] > 400_000

    def versions() -> list[int]:
        found = lambda_client.list_layer_versions(LayerName="lambent-requirements-leaning")
        return [version["Version"] for version in found["LayerVersions"]]

    assert deploy(str(folder)).returncode == 0
    assert state() == ([], True)
    watching = watch(folder)
    assert invoked(lambda_client, "leaning") == 1
    assert state() == (["lambent-requirements-leaning:1"], False)
    (folder / "app.py").write_text(source.format(1))
    watching.until(lambda: invoked(lambda_client, "leaning") == 2)
    assert watching.end() == 0
    # Found again by what it holds.
    watching = watch(folder)
    assert state() == (["lambent-requirements-leaning:1"], False)
    (folder / "requirements.txt").write_text("large\nother\n")
    (folder / "app.py").write_text("import large, other\ndef handler(event, context): return other.value\n")
    watching.until(lambda: invoked(lambda_client, "leaning") == 5)
    watching.until(lambda: versions() == [2])
    # A file of the folder in a package of the requirements: only in one package they come together.
    (folder / "large").mkdir()
    (folder / "large" / "more.py").write_text("value = 7\n")
    (folder / "app.py").write_text("import large, large.more\ndef handler(event, context): return large.more.value\n")
    watching.until(lambda: invoked(lambda_client, "leaning") == 7)
    watching.until(lambda: versions() == [])
    assert state() == ([], True)
    (folder / "large" / "more.py").unlink()
    (folder / "large").rmdir()
    (folder / "app.py").write_text(source.format(8))
    watching.until(lambda: invoked(lambda_client, "leaning") == 9)
    watching.until(lambda: versions() == [3])
    assert watching.end() == 0
    alone = deploy(str(folder))
    assert "changed   code, layers\n" in alone.stdout, alone.stdout + alone.stderr
    assert state() == ([], True)
    assert (versions(), invoked(lambda_client, "leaning")) == ([], 9)


def test_a_url_is_there_once_for_everybody_or_for_signed_requests(
    deploy: Callable[..., subprocess.CompletedProcess[str]], lambda_client: Any, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "called"
    folder.mkdir()
    (folder / "app.py").write_text(handler("hello"))

    def url_of(*arguments: str) -> tuple[str, str]:
        done = deploy(str(folder), *arguments)
        assert done.returncode == 0, done.stderr
        [line] = [line for line in done.stdout.splitlines() if line.startswith("url ")]
        _, url, kind = line.split()
        return url, kind

    def status(url: str) -> int:
        direct = f"{server.url}/_lambda-url/{url.partition('//')[2].partition('.')[0]}/"
        try:
            with urllib.request.urlopen(direct, timeout=LONGEST_S) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    url, kind = url_of("--url")
    assert (kind, status(url)) == ("(NONE)", 200)
    assert url_of("--url") == (url, "(NONE)")
    assert url_of("--url", "iam") == (url, "(AWS_IAM)")
    assert status(url) == 403
    with pytest.raises(lambda_client.exceptions.ResourceNotFoundException):
        lambda_client.get_policy(FunctionName="called")
    assert url_of("--url", "none") == (url, "(NONE)")
    assert status(url) == 200
