"""A start in two halves: the interpreter is up and has imported what it needs, and waits to be told for whom it runs.

Everything that an interpreter takes from its environment when it starts and that a function may choose is set here
again, so that a function finds the same as after an ordinary start. What cannot be set again is never given to a
process that waited.
"""

# Lambda's own client has imported these before any code of the function runs, and most functions want them.
import json  # noqa: F401
import logging  # noqa: F401
import os
import sys
import time

from lambent_runtime import library, log  # noqa: F401

_START_FD = "_LAMBENT_START_FD"
_COERCED = "LC_CTYPE"
_PROGRAM = "/.lambent/program"

_kept = []
# Functions that do not log need no handler, and share the pages of the module.
library.ready["logging"] = sys.modules.pop("logging")


def begin(environ):
    """Return as the runtime of a function."""
    line = environ.get(_START_FD)
    if line is None:
        line = _be_zygote()
    else:
        line = int(line)
        os.write(line, b"w")
    wait(line)


def _be_zygote():
    """Fork sandboxes for the launcher; returns in each fork that is a runtime, without a trace of that."""
    if sys.version_info < (3, 10):
        os._exit(1)
    path = sys.path[:]
    sys.path.append(_PROGRAM)
    from lambent.launcher import zygote

    line = zygote.serve()
    sys.path[:] = path
    # Kept, because to free them would copy the pages that they share with other forks.
    _kept.extend(sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "lambent")
    return line


def wait(line):
    """Until the other end of the socket `line` says for whom; ends the process when it only closes."""
    parts = []
    while True:
        data = os.read(line, 65536)
        if not data:
            break
        parts.append(data)
    os.close(line)
    folder, *variables = b"".join(parts).split(b"\0")
    if not folder:
        os._exit(0)
    become(folder, variables)


def become(folder, variables):
    """`variables` are all of the environment, each as `NAME=value`."""
    environ = os.environ
    before = environ["PYTHONPATH"].split(os.pathsep)
    # Python itself sets this one where the locale of the variables does not exist.
    coerced = environ.get(_COERCED)
    environ.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    if coerced is not None:
        environ.setdefault(_COERCED, coerced)
    path = environ.get("PYTHONPATH", "")
    if path.split(os.pathsep) != before:
        # A sitecustomize in there may want it before anybody else.
        sys.modules["logging"] = library.ready.pop("logging")
    sys.path[1 : 1 + len(before)] = path.split(os.pathsep) if path else ()
    sys.path_importer_cache.clear()
    os.chdir(folder)
    time.tzset()
