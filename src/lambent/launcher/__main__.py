"""The launcher process: `python -I -S .../lambent/launcher/__main__.py`, its socket as standard input."""

import os.path
import sys

# By os.path: pathlib would cost every sandbox's first process a megabyte.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))))

from lambent.launcher.main import main

if __name__ == "__main__":
    main()
