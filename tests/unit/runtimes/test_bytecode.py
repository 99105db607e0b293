import os
import shutil
from pathlib import Path

import pytest

from lambent.runtimes.catalog import Catalog
from lambent.runtimes.interpreters import places
from lambent.runtimes.python.bytecode import compile_for
from lambent.runtimes.python.files import runtime_files


def test_byte_code_is_written_beside_the_sources(tmp_path: Path) -> None:
    runtimes = Catalog(places(os.environ)).available()
    if not runtimes:
        pytest.skip("no interpreter of a runtime identifier on this machine")
    entries = {}
    for name in ("bootstrap.py", "lambent_runtime", "six.py"):
        source = runtime_files()[name]
        entries[name] = tmp_path / name
        if source.is_dir():
            shutil.copytree(source, entries[name], ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, entries[name])
    compile_for(runtimes[0], entries)
    tag = f"cpython-{runtimes[0].interpreter.version.replace('.', '')}"
    assert (tmp_path / f"lambent_runtime/__pycache__/main.{tag}.pyc").is_file()
    # A script is compiled at each start, whatever is beside it.
    assert not (tmp_path / f"__pycache__/bootstrap.{tag}.pyc").exists()


def test_the_runtime_folder_has_the_bootstrap_and_boto3_and_nothing_else() -> None:
    entries = runtime_files()
    assert all(path.exists() for path in entries.values())
    assert {name for name in entries if not name.endswith(".dist-info")} == {
        "bootstrap.py",
        "lambent_runtime",
        "snapshot_restore_py.py",
        *("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3"),
    }
    # A function may ask importlib.metadata for the version of each.
    assert len([name for name in entries if name.endswith(".dist-info")]) == 7
