"""The parts of `lambent demo` that need no server; tests/e2e/test_demo.py runs the whole."""

import contextlib
import platform
import sys
from pathlib import Path

import pytest

from lambent.cli.child import serving
from lambent.cli.demo import PHOTO, check_output, choose_runtime, describe_cost, examples_folder, remove, write
from lambent.cli.demo_job import Report
from lambent.cli.failure import Failure
from lambent.cli.runtimes import Served

REPORT = (
    "REPORT RequestId: 7f0e\tDuration: 20.10 ms\tBilled Duration: {billed} ms\tMemory Size: 512 MB\t"
    "Max Memory Used: 60 MB\tInit Duration: 80.00 ms"
)


def served(*identifiers: str) -> list[Served]:
    return [Served(identifier, "3.x", f"/bin/{identifier}", None) for identifier in identifiers]


def report(billed_ms: int) -> Report:
    return Report(REPORT.format(billed=billed_ms))


def test_the_runtime_is_that_of_our_own_python_where_it_is_served() -> None:
    own = "python" + ".".join(platform.python_version_tuple()[:2])
    assert choose_runtime(served("python3.9", own, "python3.99")).identifier == own


def test_else_the_newest_that_is_served_without_a_fallback() -> None:
    found = [*served("python3.1", "python3.2"), Served("python3.3", "3.2.1", "/bin/python3.2", "runs on 3.2")]
    assert choose_runtime(found).identifier == "python3.2"


def test_no_interpreter_at_all_names_the_doctor() -> None:
    with pytest.raises(Failure, match="lambent doctor"):
        choose_runtime([Served("python3.9", None, None, "missing")])


def test_the_cost_is_that_of_the_billed_milliseconds() -> None:
    one = {"thumbnails": [report(100), report(10), report(12), report(11)]}
    assert describe_cost(one).startswith("on AWS: $0.00000")
    two = {"thumbnails": [report(100), report(11)], "gallery": [report(11)]}
    assert describe_cost(two).endswith("3 invocations, $0.58 for a million photographs when warm")


def test_a_report_without_a_billed_duration_is_a_fault() -> None:
    with pytest.raises(Failure, match="billed duration"):
        assert Report("").billed_ms


def test_the_example_is_found_and_complete() -> None:
    names = {file.name for file in (examples_folder() / "photos").iterdir()}
    assert {"thumbnails.py", "gallery.py", "requirements.txt"} <= names
    assert (examples_folder() / PHOTO).is_file()


def test_a_server_that_ends_at_once_is_one_line_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'first' >&2\necho 'lambent: port 1 is in use' >&2\nexit 5\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with (
        pytest.raises(Failure, match=r"^the server did not start: port 1 is in use$"),
        serving(tmp_path, tmp_path / "l"),
    ):
        pytest.fail("it did not start")


def test_a_server_is_ended_with_the_block_even_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\ntrap 'echo stopped > stopped; exit 0' TERM\n"
        "echo 'lambent ready on http://127.0.0.1:1 (sandbox: native, data: d)'\nwhile :; do sleep 0.02; done\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(ZeroDivisionError), serving(tmp_path / "data", tmp_path / "log") as server:
        assert (server.url, server.sandbox) == ("http://127.0.0.1:1", "native")
        raise ZeroDivisionError
    assert (tmp_path / "stopped").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="choose another folder with --output"):
        check_output(tmp_path / place)
    check_output(tmp_path / "new" / "new")


def test_an_output_that_fails_all_the_same_is_one_line() -> None:
    with pytest.raises(Failure, match=r"^cannot write /proc/new/x: .*; choose another folder with --output$"):
        write(Path("/proc/new/x"), b"")


def test_read_only_packages_are_removed_too(tmp_path: Path) -> None:
    package = tmp_path / "work" / "packages" / "a"
    package.mkdir(parents=True)
    (package / "handler.py").touch(mode=0o444)
    package.chmod(0o555)
    remove(tmp_path / "work")
    assert list(tmp_path.iterdir()) == []
