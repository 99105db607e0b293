"""`sys.path` as Lambda has it: the function's code, its layers, this folder, PYTHONPATH, the standard library.

The interpreter is started without `site` (a host's site-packages are not part of the runtime, and reading them takes
longer than the rest of the start), so what `site` would do for a function is done here.
"""

import os
import sys


def arrange(environ):
    task = environ["LAMBDA_TASK_ROOT"]
    runtime = environ["LAMBDA_RUNTIME_DIR"]
    opt = environ.pop("_LAMBENT_OPT", "/opt")
    layers = opt + "/python"
    site_packages = "%s/lib/python%d.%d/site-packages" % (layers, *sys.version_info[:2])
    sys.path[:] = dict.fromkeys([task, site_packages, layers, runtime, *sys.path[1:]])
    sys.argv[:] = sys.argv[:1]
    _run_sitecustomize(environ, runtime)


def _run_sitecustomize(environ, runtime):
    """Instrumentation layers start through a `sitecustomize` on PYTHONPATH, which `site` would import."""
    for entry in environ.get("PYTHONPATH", "").split(os.pathsep):
        if entry and entry != runtime and os.path.exists(entry + "/sitecustomize.py"):
            import sitecustomize  # noqa: F401

            return
