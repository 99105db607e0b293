"""Runs `lambent` with a sampling profiler inside: ITIMER_PROF ticks while the process uses CPU, main thread's stack.

A handler of Python runs between two byte codes, so time inside one long C call is charged to the line that called it.
Started by `profile_invoke`; not for use alone. LAMBENT_PROFILE_OUTPUT names the file to write at exit.
"""

import atexit
import json
import os
import signal
import sys
from collections import Counter
from types import FrameType

INTERVAL_S = 0.001


def main() -> None:
    own: Counter[str] = Counter()
    under: Counter[str] = Counter()
    line: Counter[str] = Counter()
    output = os.environ.pop("LAMBENT_PROFILE_OUTPUT")
    owner = os.getpid()

    def sample(_signal: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        code = frame.f_code
        own[f"{_short(code.co_filename)}:{code.co_firstlineno} {code.co_qualname}"] += 1
        line[f"{_short(code.co_filename)}:{frame.f_lineno} {code.co_qualname}"] += 1
        seen = set()
        at: FrameType | None = frame
        while at is not None:
            seen.add(f"{_short(at.f_code.co_filename)}:{at.f_code.co_firstlineno} {at.f_code.co_qualname}")
            at = at.f_back
        under.update(seen)

    def write() -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if os.getpid() == owner:
            with open(output, "w", encoding="utf-8") as file:
                json.dump({"own": own, "under": under, "line": line}, file)

    signal.signal(signal.SIGPROF, sample)
    # Interrupted system calls start again, or C code that does not expect a signal would fail.
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    atexit.register(write)

    from lambent.cli.main import main as command

    sys.argv[0] = "lambent"
    command()


def _short(path: str) -> str:
    for mark in ("site-packages/", "/src/", "lib/python"):
        if mark in path:
            return path.partition(mark)[2]
    return path


if __name__ == "__main__":
    main()
