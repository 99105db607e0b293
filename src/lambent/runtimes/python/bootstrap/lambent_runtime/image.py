"""A process that is saved as files after Init, threads and open descriptors included, and restored for each sandbox.

It waits in a read. Nothing in it can tell a copy from the original, so what must differ is renewed here: after a fork
libraries do that by themselves, but a copy has even the process id of the original.
"""

import os
import sys


def wait(api, fd):
    """Returns in each copy. The process that was saved never comes back."""
    api.ask_for_restore()
    said = os.read(fd, 16)
    if said != b"go":
        os._exit(0)
    os.close(fd)
    api.disconnect()
    _refresh_randomness()


def _refresh_randomness():
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "_ssl" in modules:
        modules["_ssl"].RAND_add(os.urandom(48), 48.0)
    numpy = modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
