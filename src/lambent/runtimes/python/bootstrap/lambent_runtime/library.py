"""Makes the library look as it does in Lambda, without importing it before the function does.

Lambda's own client has imported `logging`, `json` and their like before any code of the function runs: there the root
logger has a handler, and a file of the function called `token.py` never hides the library's. Importing all of that
takes longer than starting the interpreter, so here it happens when the function asks for it.
"""

import os
import sys
from _frozen_importlib_external import PathFinder

_NAMES = """
__future__ _decimal _heapq _queue _weakrefset atexit collections concurrent contextlib copyreg decimal enum functools
heapq json keyword linecache logging math numbers operator pwd queue re reprlib runpy string textwrap threading token
tokenize traceback types weakref
"""
_IMPORTED_BY_LAMBDA = frozenset(_NAMES.split())

# boto3 of 2026 needs Python 3.10.
_ADAPTED_PACKAGES = frozenset(("boto3", "botocore", "s3transfer", "urllib3")) if sys.version_info < (3, 10) else ()


# By name: imported before it was known for whom, and given when they are asked for.
ready = {}
# What those do at each fork. None of the forks in which nobody has asked for them does it.
fork_hooks = []


def take(name):
    """A module of `ready`, from now on as if it had just been imported."""
    if name == "logging" and "threading" in ready:
        # It has imported that one.
        sys.modules["threading"] = take("threading")
    while fork_hooks:
        hooks = fork_hooks.pop(0)
        # This process may be a fork that has not done it.
        if "after_in_child" in hooks:
            hooks["after_in_child"]()
        os.register_at_fork(**hooks)
    return ready.pop(name)


class LibraryFinder:
    """Stands before the finder that looks through `sys.path`."""

    def __init__(self, runtime_dir):
        self._runtime_dir = runtime_dir
        self._path = [entry for entry in sys.path if entry.startswith((sys.prefix, sys.base_prefix))]
        self._logging_configured = False

    def install(self):
        sys.meta_path.insert(len(sys.meta_path) - 1, self)

    def find_spec(self, name, path=None, target=None):
        if name in _IMPORTED_BY_LAMBDA:
            spec = PathFinder.find_spec(name, self._path, target)
            if name in ready:
                spec.loader = _Ready(take(name))
            if name == "logging" and not self._logging_configured:
                self._logging_configured = True
                _configure_after(spec.loader)
            return spec
        if name.partition(".")[0] in _ADAPTED_PACKAGES:
            from lambent_runtime import python39

            return python39.find_spec(name, path, target, self._runtime_dir)
        return None


class _Ready:
    """Loads what is loaded already."""

    def __init__(self, module):
        self._module = module

    def create_module(self, spec):
        return self._module

    def exec_module(self, module):
        pass


def _configure_after(loader):
    execute = loader.exec_module

    def execute_and_configure(module):
        execute(module)
        from lambent_runtime import log

        log.configure(module)

    loader.exec_module = execute_and_configure
