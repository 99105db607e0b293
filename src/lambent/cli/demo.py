"""`lambent demo`: the main job on real input, as a newcomer would do it with boto3, in a minute and with nothing left.

Starts a server of its own in a temporary folder, deploys `examples/thumbnail`, sends it a photograph. It refuses to
touch a server or a data dir that the user already has.
"""

import base64
import json
import os
import platform
import re
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import lambent
from lambent.billing.prices import cost
from lambent.cli import options
from lambent.cli.child import serving
from lambent.cli.failure import CANNOT_START, FUNCTION_FAILED, USAGE, Failure
from lambent.cli.machine import command
from lambent.cli.progress import Progress
from lambent.cli.runtimes import Served, survey
from lambent.core.settings import SANDBOXES, Settings
from lambent.packaging import archive, requirements
from lambent.packaging.folder import PackagingError

NAME = "thumbnail"
MEMORY_MB = 512
WIDTH = 160
WARM_INVOCATIONS = 5
ROLE = "arn:aws:iam::000000000000:role/lambent-demo"


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo-output"),
    help="Where the pictures go.  [default: demo-output]",
)
@click.option("--sandbox", type=click.Choice(SANDBOXES), help="As of `lambent up`.")
@options.config
def demo(output: Path, sandbox: str | None, config: Path | None) -> None:
    """Run a real photograph through a sandboxed function: package, create, invoke, log, cost. Nothing is left."""
    settings = options.settings({"sandbox": sandbox}, config)
    check_output(output)
    example = example_folder()
    runtime = choose_runtime(survey(settings))
    work = Path(tempfile.mkdtemp(prefix="lambent-demo-"))
    # Started through sudo, the server is the user who called, and has to pass on its way to its data dir.
    work.chmod(0o711)
    try:
        with interruptible(), Progress() as progress:
            run(settings, example, runtime, work, output, progress)
    except (ClientError, BotoCoreError) as error:
        raise Failure(f"the demo failed: {error}{kept_log(work, output)}", FUNCTION_FAILED) from error
    finally:
        remove(work)


def run(settings: Settings, example: Path, runtime: Served, work: Path, output: Path, progress: Progress) -> None:
    progress.result("A photograph through a sandboxed function, with an unmodified boto3")
    progress.show("packaging the function with Pillow")
    begun = time.perf_counter()
    package = build(example, runtime.identifier.removeprefix("python"), work / "requirements")
    progress.result(
        row("package", f"{example.name}/handler.py with Pillow, {len(package) / 1e6:.1f} MB zip", since(begun))
    )

    progress.show("starting the server")
    flags = ["--sandbox", settings.sandbox]
    for identifier, path in settings.interpreters:
        flags += ["--interpreter", f"{identifier}={path}"]
    photo = (example / "grace_hopper.jpg").read_bytes()
    with serving(work / "data", work / "server.log", flags) as server:
        weak = " (not isolated, or in part: lambent doctor)" if server.sandbox == "process" else ""
        progress.result(
            row("server", f"lambent up: {server.url}, sandbox {server.sandbox}{weak}", f"{server.ready_s:.2f} s")
        )
        client = connect(server.url)

        progress.show("creating the function")
        begun = time.perf_counter()
        deploy(client, runtime.identifier, package)
        progress.result(
            row("create", f"CreateFunction {NAME} ({runtime.identifier}, {MEMORY_MB} MB), now Active", since(begun))
        )

        progress.show("invoking")
        cold = invoke(client, photo)
        warm = [invoke(client, photo) for _ in range(WARM_INVOCATIONS)]

    write(output / "thumbnail.jpg", cold.image)
    warm_ms = statistics.median(each.elapsed_ms for each in warm)
    progress.result(row("invoke", f"{cold.description}", f"cold {cold.elapsed_ms:.0f} ms, warm {warm_ms:.1f} ms"))
    progress.result(row("log", cold.report.replace("\t", "  ")))
    progress.result(row("cost", describe_cost(cold, warm)))
    progress.result(row("written", str(output / "thumbnail.jpg")))
    name = command()
    progress.result(f'\nEverything is stopped. Next: {name} up, and in another terminal: eval "$({name} env)"')


def build(example: Path, python: str, cache: Path) -> bytes:
    try:
        below = requirements.installed(example / requirements.FILE, python, cache)
        return archive.of_files(example, ["handler.py"], below)
    except PackagingError as error:
        raise Failure(str(error), FUNCTION_FAILED) from error


@dataclass(frozen=True, slots=True)
class Answer:
    image: bytes
    description: str
    elapsed_ms: float
    """As the client saw it, with both photographs on the wire."""
    report: str
    """The REPORT line."""

    @property
    def billed_ms(self) -> int:
        found = re.search(r"Billed Duration: (\d+) ms", self.report)
        if found is None:
            raise Failure(f"the REPORT line names no billed duration: {self.report!r}", FUNCTION_FAILED)
        return int(found[1])


def connect(url: str) -> Any:
    return boto3.session.Session().client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
    )


def deploy(client: Any, identifier: str, package: bytes) -> None:
    client.create_function(
        FunctionName=NAME,
        Runtime=identifier,
        Handler="handler.handler",
        Role=ROLE,
        Code={"ZipFile": package},
        MemorySize=MEMORY_MB,
        Timeout=30,
        Architectures=[architecture()],
    )
    client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})


def invoke(client: Any, photo: bytes) -> Answer:
    payload = json.dumps({"image": base64.b64encode(photo).decode(), "width": WIDTH})
    begun = time.perf_counter()
    reply = client.invoke(FunctionName=NAME, Payload=payload, LogType="Tail")
    body = reply["Payload"].read()
    elapsed_ms = (time.perf_counter() - begun) * 1000
    answer = json.loads(body)
    if "FunctionError" in reply:
        raise Failure(f"the function failed: {answer.get('errorType')}: {answer.get('errorMessage')}", FUNCTION_FAILED)
    log = base64.b64decode(reply["LogResult"]).decode()
    image = base64.b64decode(answer["image"])
    before = answer["original"]
    return Answer(
        image,
        f"{before['width']} x {before['height']}, {len(photo) / 1000:.0f} KB"
        f" -> {answer['width']} x {answer['height']}, {len(image) / 1000:.0f} KB",
        elapsed_ms,
        next((line for line in log.splitlines() if line.startswith("REPORT ")), ""),
    )


def describe_cost(cold: Answer, warm: list[Answer]) -> str:
    """What AWS would charge, at its list price."""
    kind = architecture()
    billed_ms = cold.billed_ms + sum(each.billed_ms for each in warm)
    here = cost(duration_ms=billed_ms, memory_mb=MEMORY_MB, architecture=kind, requests=1 + len(warm))
    usual_ms = int(statistics.median(each.billed_ms for each in warm))
    million = cost(duration_ms=usual_ms, memory_mb=MEMORY_MB, architecture=kind) * 1_000_000
    return f"on AWS: ${here:.7f} for these {1 + len(warm)} invocations, ${million:.2f} for a million warm ones"


def architecture() -> str:
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def choose_runtime(found: list[Served]) -> Served:
    """The identifier of our own Python where it is served, else the newest that is."""
    served = [each for each in found if each.executable and each.reason is None]
    if not served:
        raise Failure("no interpreter for any Python runtime was found; see: lambent doctor", CANNOT_START)
    own = "python" + ".".join(platform.python_version_tuple()[:2])
    return next((each for each in served if each.identifier == own), served[-1])


def example_folder() -> Path:
    """`examples/thumbnail`: in an installed package beside our modules, in a checkout at its root."""
    package = Path(lambent.__file__).parent
    for folder in (package / "examples" / NAME, package.parents[1] / "examples" / NAME):
        if (folder / "handler.py").is_file():
            return folder
    raise Failure("the example's files are not installed beside this command", CANNOT_START)


@contextmanager
def interruptible() -> Iterator[None]:
    """A SIGTERM or SIGHUP ends the block as Ctrl-C does, so that the server is stopped and the folder removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def since(begun: float) -> str:
    return f"{time.perf_counter() - begun:.2f} s"


def kept_log(work: Path, output: Path) -> str:
    """Where what the server said before a failure is kept, as the end of a sentence; empty when it said nothing."""
    log = work / "server.log"
    if not log.is_file() or not log.stat().st_size:
        return ""
    write(output / "server.log", log.read_bytes())
    return f" (the server's log: {output / 'server.log'})"


def check_output(folder: Path) -> None:
    """Refuse, before the work of a minute, a folder that its result cannot be written to."""
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise Failure(f"no files can be made in {place}; choose another folder with --output", USAGE)


def write(file: Path, content: bytes) -> None:
    """Write a result. Through sudo, what is made belongs to the owner of the folder that it is made in, not to root."""
    folder = file.absolute().parent
    made = [file]
    try:
        if not folder.exists():
            folder.mkdir(parents=True)
            made = [folder, file]
        file.write_bytes(content)
    except OSError as error:
        text = f"cannot write {file}: {error.strerror}; choose another folder with --output"
        raise Failure(text, USAGE) from error
    if os.geteuid() == 0:
        for path in made:
            owner = path.absolute().parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)


def remove(work: Path) -> None:
    """Remove a folder in which unpacked packages are read-only, which stops everyone but root."""
    for folder, _, _ in os.walk(work):
        os.chmod(folder, 0o700)
    shutil.rmtree(work, ignore_errors=True)


def row(subject: str, text: str, measured: str = "") -> str:
    return f"{subject:<9}{text:<62}  {measured}".rstrip()
