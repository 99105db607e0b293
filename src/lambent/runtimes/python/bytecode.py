"""Byte code of `/var/runtime` for every interpreter of this machine: `python -m lambent.runtimes.python.bytecode`.

A sandbox cannot write it, so without this each cold start compiles the bootstrap (5 ms) and each import of boto3 all of
boto3 (200 ms). For the set-up to run, as the user who owns the installation: it starts each interpreter, which the
server never does, and writes beside the sources.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lambent.runtimes.catalog import Catalog
from lambent.runtimes.interpreters import places
from lambent.runtimes.python.files import runtime_files
from lambent.runtimes.python.runtime import PythonRuntime

_TIME_OUT_S = 120

_COMPILE = """
import compileall, os, sys
for path in sys.argv[1:]:
    compile = compileall.compile_dir if os.path.isdir(path) else compileall.compile_file
    compile(path, quiet=2)
"""


def compile_for(runtime: PythonRuntime, entries: Mapping[str, Path]) -> None:
    """Compile what is not compiled yet; a file that this version cannot compile is left out.

    Raises OSError when the interpreter does not start, subprocess.TimeoutExpired when it does not end.
    """
    paths = [str(path) for name, path in entries.items() if _is_compiled(name, runtime)]
    argv = [str(runtime.interpreter.executable), "-I", "-S", "-c", _COMPILE, *paths]
    subprocess.run(argv, check=False, timeout=_TIME_OUT_S, stdin=subprocess.DEVNULL)


def _is_compiled(name: str, runtime: PythonRuntime) -> bool:
    if name.endswith(".dist-info") or name == "bootstrap.py":
        return False
    # The bootstrap changes boto3 while it compiles it for 3.9, and takes no byte code.
    return runtime.interpreter.version != "3.9" or name == "lambent_runtime"


def main() -> None:
    entries = runtime_files()
    for runtime in Catalog(places(os.environ)).available():
        compile_for(runtime, entries)


if __name__ == "__main__":
    main()
