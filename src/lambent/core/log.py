"""What the server says of itself: text lines on standard error. Logs of functions are a service, not this."""

import logging
import sys
from typing import TextIO

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send records of `level` (debug | info | warning | error) and above to `stream`, standard error by default.

    Replaces what an earlier call had set up. Libraries stay at warning: their debug output is not about Lambent.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("lambent").setLevel(level.upper())
