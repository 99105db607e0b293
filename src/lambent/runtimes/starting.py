"""Which functions may have an interpreter that was started before anybody knew of them.

What the kernel, the dynamic linker and the interpreter read of the environment when a program starts cannot be given
later: a function that changes any of it has its runtime exec'd.
"""

from collections.abc import Mapping

from lambent.runtimes.layout import RuntimeStart

_PREFIXES = ("GLIBC_", "LC_", "LD_", "MALLOC_", "PYTHON", "_RLD_")
_NAMES = frozenset({"GCONV_PATH", "LANG", "LANGUAGE", "LOCPATH", "NLSPATH"})
_GIVEN_LATER = "PYTHONPATH"


def must_exec(own: Mapping[str, str], start: RuntimeStart | None) -> bool:
    """`own` are the function's variables, which win over those of `start`; None: no interpreter waits."""
    if start is None:
        return True
    if own.get("AWS_LAMBDA_EXEC_WRAPPER"):
        return True
    # The bootstrap puts them on the path; only Python itself knows what to make of relative ones.
    if any(not entry.startswith("/") for entry in own.get(_GIVEN_LATER, "/").split(":")):
        return True
    return any(value != start.variables.get(name) for name, value in own.items() if _read_at_start(name))


def _read_at_start(name: str) -> bool:
    return name in _NAMES or (name.startswith(_PREFIXES) and name != _GIVEN_LATER)
