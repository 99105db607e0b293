"""The program of the Python runtimes, started as `/var/lang/bin/python3.X -S /var/runtime/bootstrap.py`.

Kept to a few lines because a script is compiled at each start; the rest is in `lambent_runtime`, whose byte code can
be cached. Plain Python 3.9 to 3.14, standard library only, and only the public Runtime API.
"""

import sys

if __name__ == "__main__":
    # Python has put this folder in front, or what it is a symbolic link to; under PYTHONSAFEPATH, nothing.
    sys.path[: 0 if getattr(sys.flags, "safe_path", False) else 1] = [__file__.rpartition("/")[0]]
    from lambent_runtime.main import main

    main()
