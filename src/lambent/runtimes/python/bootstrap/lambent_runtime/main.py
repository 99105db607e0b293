"""Start-up and the loop of invocations."""

import builtins
import os
import sys

from lambent_runtime import current, path
from lambent_runtime.api import RuntimeApi
from lambent_runtime.fault import Fault
from lambent_runtime.handler import load_handler
from lambent_runtime.invocation import Invoker
from lambent_runtime.library import LibraryFinder
from lambent_runtime.stdout import Unbuffered


def main():
    """Never returns normally: the process ends with the handler's exit, an init error or a lost Runtime API."""
    environ = os.environ
    # Before it is known for whom: a fork would copy the pages for it, and each would do it anew.
    sys.stdout = Unbuffered(sys.stdout)
    sys.stderr = Unbuffered(sys.stderr)
    _add_site_builtins()
    if "_LAMBENT_START_FD" in environ or "_LAMBENT_ZYGOTE" in environ:
        from lambent_runtime import waiting

        waiting.begin(environ)
    path.arrange(environ)
    telemetry_fd = environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    if telemetry_fd is not None:
        # A copy, because it may be standard output, which a function can close or redirect.
        current.log_fd = os.dup(int(telemetry_fd))
    LibraryFinder(environ["LAMBDA_RUNTIME_DIR"]).install()
    if "logging" in sys.modules:
        from lambent_runtime import log

        log.configure(sys.modules["logging"])
    template_fd, image_fd = (environ.pop(name, None) for name in ("_LAMBENT_TEMPLATE_FD", "_LAMBENT_IMAGE_FD"))
    if template_fd is not None or image_fd is not None:
        os.set_inheritable(int(template_fd or image_fd), False)
    warning = environ.pop("_LAMBENT_WARNING", None)
    if warning:
        print("[WARNING] " + warning)

    api = RuntimeApi(environ["AWS_LAMBDA_RUNTIME_API"], environ.pop("_LAMBENT_LINE", None))
    try:
        handler = load_handler(environ["_HANDLER"])
    except Fault as fault:
        _fail_init(api, fault, None)
    except Exception as error:
        _fail_init(api, None, error)
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from lambent_runtime import snapshot

        snapshot.pass_through(api, template_fd and int(template_fd), image_fd and int(image_fd))
    Invoker(api, handler).run()


def _fail_init(api, fault, error):
    from lambent_runtime import report

    report.init_error(api, fault, error)
    sys.exit(1)


def _add_site_builtins():
    """`exit`, `quit` and `help` exist in every Python that was not started with -S."""
    import _sitebuiltins

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()
