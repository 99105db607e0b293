"""What a server imports of the launcher, whose modules are another process: memory, and time of each start."""

import subprocess
import sys

from lambent.launcher import wire
from lambent.launcher.net.router import NoAddress

LAUNCHERS_OWN = ("base_tree", "execute", "init", "net", "server", "zygote")


def test_a_server_imports_no_work_of_the_launcher() -> None:
    ask = "import sys, lambent.cli.up, lambent.start, lambent.app; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60, check=True)
    modules = {name.removeprefix("lambent.launcher.") for name in found.stdout.split()}
    assert "wire" in modules
    assert modules.isdisjoint(LAUNCHERS_OWN)


def test_the_words_of_the_wire_are_those_of_the_launcher() -> None:
    assert NoAddress.__name__ == wire.NO_ADDRESS
