"""A deployment package of a Python function: its own files and its locked requirements, in one zip."""

import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from lambent.cli.failure import FUNCTION_FAILED, Failure

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Equal input gives equal bytes, so that an unchanged function is not deployed anew."""


def build(sources: Path, requirements: Path, python: str, work: Path) -> bytes:
    """The zip of the `.py` files of `sources` and what `requirements` locks, for Python `python` ("3.12").

    `work` is an empty folder for the unpacked wheels. Raises `Failure` when pip cannot install them.
    """
    _install(requirements, python, work)
    for file in sorted(sources.glob("*.py")):
        shutil.copy(file, work)
    return archive(work)


def _install(requirements: Path, python: str, target: Path) -> None:
    """Wheels only, and those of the function's Python rather than ours: nothing is compiled, or run, at packaging."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check"]
    command += ["--no-compile", "--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    command += ["--require-hashes", "--requirement", str(requirements), "--target", str(target)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = said[-1].removeprefix("ERROR: ") if said else f"pip ended with {done.returncode}"
        raise Failure(f"cannot install {requirements.name} of the function: {why}", FUNCTION_FAILED)


def archive(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if "__pycache__" in file.parts:
                continue
            item = zipfile.ZipInfo(str(file.relative_to(folder)), EPOCH)
            item.compress_type = zipfile.ZIP_DEFLATED
            item.external_attr = (file.stat().st_mode | 0o444) << 16
            package.writestr(item, file.read_bytes())
    return out.getvalue()
