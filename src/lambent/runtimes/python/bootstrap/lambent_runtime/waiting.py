"""A start in two halves: the interpreter is up and has imported what it needs, and waits to be told for whom it runs.

Everything that an interpreter takes from its environment when it starts and that a function may choose is set here
again, so that a function finds the same as after an ordinary start. What cannot be set again is never given to a
process that waited.
"""

import os
import sys
import time

from lambent_runtime import library

# A fork that calls a few functions of Python has copied 140 pages, and few functions want what these do there.
_register_at_fork = os.register_at_fork
os.register_at_fork = lambda **hooks: library.fork_hooks.append(hooks)

# Lambda's own client has imported these before any code of the function runs, and many functions want them.
import json  # noqa: E402, F401
import logging  # noqa: E402, F401

from lambent_runtime import log  # noqa: E402, F401

os.register_at_fork = _register_at_fork

# The first compilation makes all the types of syntax trees, in a millisecond, and most functions come as source.
compile("", "", "exec")

_START_FD = "_LAMBENT_START_FD"
_COERCED = "LC_CTYPE"
_PROGRAM = "/.lambent/program"

_kept = []
# The variables of the start, as far as what they did then must be known later: PYTHONPATH, and what Python has set.
_before = []
_coerced = []
# Functions that do not log need no handler, and share the pages of the modules.
library.ready.update({name: sys.modules.pop(name) for name in ("logging", "threading")})


def begin(environ):
    """Return as the runtime of a function."""
    line = environ.get(_START_FD)
    _before.extend(environ.get("PYTHONPATH", "").split(os.pathsep))
    # Python itself sets this one where the locale of the variables does not exist.
    _coerced.extend((_COERCED, each) for each in (environ.get(_COERCED),) if each is not None)
    if line is None:
        line = _be_zygote()
    else:
        line = int(line)
        _forget_folders()
        os.write(line, b"w")
    wait(line)


def _forget_folders():
    """What is outside of the interpreter's own is mounted later."""
    for entry in [entry for entry in sys.path_importer_cache if not entry.startswith(sys.base_prefix)]:
        del sys.path_importer_cache[entry]


def _be_zygote():
    """Fork sandboxes for the launcher; returns in each fork that is a runtime."""
    if sys.version_info < (3, 10):
        os._exit(1)
    path = sys.path[:]
    sys.path.append(_PROGRAM)
    from lambent.launcher import zygote

    # No fork finds a trace of it. Kept, because to free them would copy the pages that they share with other forks.
    sys.path[:] = path
    _forget_folders()
    _kept.extend(sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "lambent")
    return zygote.serve()


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
    _set_all(environ._data, variables)
    for name, value in _coerced:
        environ.setdefault(name, value)
    path = environ.get("PYTHONPATH", "")
    if path.split(os.pathsep) != _before:
        # A sitecustomize in there may want it before anybody else.
        sys.modules["logging"] = library.take("logging")
    sys.path[1 : 1 + len(_before)] = path.split(os.pathsep) if path else ()
    os.chdir(folder)
    time.tzset()


def _set_all(data, variables):
    """As `environ.clear()` and an assignment for each, in a quarter of the time. `data` is what `os.environ` wraps."""
    for name in data:
        os.unsetenv(name)
    data.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.putenv(name, value)
        data[name] = value
