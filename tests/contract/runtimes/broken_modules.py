"""Modules that cannot be imported, or only just: written out by the tests, because tools choke on them."""

BROKEN_MODULES: dict[str, bytes] = {
    "syntax_error.py": b"def handler(event, context)\n    return 1\n",
    "indentation.py": b"def handler(event, context):\n    x = 1\n      y = 2\n",
    "bad_encoding.py": b'def handler(event, context):\n    return "\xff"\n',
    "nul_byte.py": b"x = 1\0\n",
    "import_raises.py": b'print("before")\n\n\ndef check():\n    raise ValueError("not configured")\n\n\ncheck()\n',
    "import_missing.py": b"import no_such_library_anywhere\n",
    "import_name.py": b"from json import no_such_name\n",
    "import_chain.py": b"import import_missing\n",
    "import_syntax.py": b"import syntax_error\n",
    "import_exits.py": b"import sys\n\nsys.exit(9)\n",
    "import_dies.py": b"import os\n\nos._exit(8)\n",
    "import_killed.py": b"import os\n\nos.kill(os.getpid(), 9)\n",
    "import_aborts.py": b'class Stop(BaseException):\n    pass\n\n\nraise Stop("not an Exception")\n',
    "import_raises_import_error.py": b'raise ImportError("made up")\n',
    "import_recursion.py": b"def f():\n    f()\n\n\nf()\n",
    "circular_one.py": b"import circular_two\n\n\ndef handler(event, context):\n    return 1\n",
    "circular_two.py": b"from circular_one import handler\n",
    "with-hyphen.py": b'def handler(event, context):\n    return "hyphen"\n',
    "colorsys.py": b'def handler(event, context):\n    return "mine, not the standard library\'s"\n',
    "package/__init__.py": b'NAME = "shared"\n',
    "package/sub/__init__.py": b"",
    "package/sub/api.py": (
        b"from .. import NAME\n\n\ndef handler(event, context):\n    return [__name__, NAME]\n\n\n"
        b'def fails(event, context):\n    raise LookupError("in a package")\n'
    ),
    "namespace/inner.py": b"def handler(event, context):\n    return __name__\n",
}
