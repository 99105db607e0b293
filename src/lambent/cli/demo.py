"""`lambent demo`: the main job on real input, as a newcomer would do it with boto3, in a minute and with nothing left.

Starts a server of its own in a temporary folder, does the job of `examples/photos` there (`demo_job`), and tells what
it took. It refuses to touch a server or a data dir that the user already has.
"""

import os
import platform
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from botocore.exceptions import BotoCoreError, ClientError

import lambent
from lambent.billing.prices import cost
from lambent.cli import options
from lambent.cli.child import serving
from lambent.cli.demo_job import MEMORY_MB, Job, Report
from lambent.cli.failure import CANNOT_START, FUNCTION_FAILED, USAGE, Failure
from lambent.cli.machine import command
from lambent.cli.progress import Progress
from lambent.cli.runtimes import Served, survey
from lambent.core.settings import SANDBOXES, Settings
from lambent.packaging import archive, requirements
from lambent.packaging.folder import PackagingError

EXAMPLE = "photos"
PHOTO = "thumbnail/grace_hopper.jpg"
WARM_PHOTOS = 5


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
    """Do a whole job: a photograph into a bucket, its thumbnail into another, a message processed. Nothing is left."""
    settings = options.settings({"sandbox": sandbox}, config)
    check_output(output)
    examples = examples_folder()
    runtime = choose_runtime(survey(settings))
    work = Path(tempfile.mkdtemp(prefix="lambent-demo-"))
    # Started through sudo, the server is the user who called, and has to pass on its way to its data dir.
    work.chmod(0o711)
    try:
        with interruptible(), Progress() as progress:
            run(settings, examples, runtime, work, output, progress)
    except (ClientError, BotoCoreError) as error:
        raise Failure(f"the demo failed: {error}{kept_log(work, output)}", FUNCTION_FAILED) from error
    finally:
        remove(work)


def run(settings: Settings, examples: Path, runtime: Served, work: Path, output: Path, progress: Progress) -> None:
    progress.result(
        "A photograph into a bucket, its thumbnail into another, a message when it is there; with boto3 as it is"
    )
    progress.show("packaging the functions with Pillow")
    begun = time.perf_counter()
    package = build(examples / EXAMPLE, runtime.identifier.removeprefix("python"), work / "requirements")
    progress.result(row("package", f"examples/{EXAMPLE} with Pillow, {len(package) / 1e6:.1f} MB zip", since(begun)))

    progress.show("starting the server")
    flags = ["--sandbox", settings.sandbox]
    for identifier, path in settings.interpreters:
        flags += ["--interpreter", f"{identifier}={path}"]
    photo = (examples / PHOTO).read_bytes()
    names = [f"hopper-{number}.jpg" for number in range(1 + WARM_PHOTOS)]
    with serving(work / "data", work / "server.log", flags) as server:
        weak = " (not isolated, or in part: lambent doctor)" if server.sandbox == "process" else ""
        progress.result(
            row("server", f"lambent up: {server.url}, sandbox {server.sandbox}{weak}", f"{server.ready_s:.2f} s")
        )
        job = Job(server.url)

        progress.show("making buckets, a queue and functions")
        begun = time.perf_counter()
        job.set_up(package, runtime.identifier, architecture())
        made = f"2 buckets, notification, queue, mapping, 2 functions ({runtime.identifier})"
        progress.result(row("set up", made, since(begun)))

        times = []
        for number, name in enumerate(names, start=1):
            progress.show(f"photograph {number} of {len(names)}")
            times.append(job.upload(name, photo))
        progress.show("reading logs")
        image = job.thumbnail(names[0])
        width, height = job.width_and_height(names[0])
        reports = {name: job.reports(name, len(names)) for name in MEMORY_MB}

    write(output / "thumbnail.jpg", image)
    cold, warm = times[0], times[1:]
    for what, first, others in (
        (f"{len(photo) / 1000:.0f} KB uploaded -> thumbnail of {width} x {height}, {len(image) / 1000:.0f} KB",
         cold.thumbnail_ms, [each.thumbnail_ms for each in warm]),
        ("uploaded -> message processed, in the gallery", cold.gallery_ms, [each.gallery_ms for each in warm]),
    ):  # fmt: skip
        progress.result(row("photo", what, f"cold {first:.0f} ms, warm {statistics.median(others):.1f} ms"))
    progress.result(row("log", reports["thumbnails"][0].line.replace("\t", "  ")))
    progress.result(row("bill", describe_cost(reports)))
    progress.result(row("written", str(output / "thumbnail.jpg")))
    name = command()
    progress.result(f'\nEverything is stopped. Next: {name} up, and in another terminal: eval "$({name} env)"')


def build(example: Path, python: str, cache: Path) -> bytes:
    try:
        below = requirements.installed(example / requirements.FILE, python, cache)
        return archive.of_files(example, [f"{name}.py" for name in MEMORY_MB], below)
    except PackagingError as error:
        raise Failure(str(error), FUNCTION_FAILED) from error


def describe_cost(reports: Mapping[str, Sequence[Report]]) -> str:
    """What AWS would charge for the functions, at its list price. `reports`: of each function, in order."""
    kind = architecture()
    here = sum(
        cost(duration_ms=each.billed_ms, memory_mb=each.memory_mb, architecture=kind)
        for found in reports.values()
        for each in found
    )
    million = 1_000_000 * sum(
        cost(
            duration_ms=int(statistics.median(each.billed_ms for each in found[1:] or found)),
            memory_mb=found[0].memory_mb,
            architecture=kind,
        )
        for found in reports.values()
    )
    count = sum(map(len, reports.values()))
    return f"on AWS: ${here:.7f} for these {count} invocations, ${million:.2f} for a million photographs when warm"


def architecture() -> str:
    return "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x86_64"


def choose_runtime(found: list[Served]) -> Served:
    """The identifier of our own Python where it is served, else the newest that is."""
    served = [each for each in found if each.executable and each.reason is None]
    if not served:
        raise Failure("no interpreter for any Python runtime was found; see: lambent doctor", CANNOT_START)
    own = "python" + ".".join(platform.python_version_tuple()[:2])
    return next((each for each in served if each.identifier == own), served[-1])


def examples_folder() -> Path:
    """In an installed package beside our modules, in a checkout at its root."""
    package = Path(lambent.__file__).parent
    for folder in (package / "examples", package.parents[1] / "examples"):
        if all((folder / name).is_file() for name in (f"{EXAMPLE}/thumbnails.py", PHOTO)):
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
