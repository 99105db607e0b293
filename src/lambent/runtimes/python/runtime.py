"""A Python runtime of this machine: one identifier, the interpreter that serves it, and how it is started."""

import hashlib
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lambent.runtimes.interpreters import Interpreter
from lambent.runtimes.layout import AWS_LAYOUT, Command, Layout, RenderCommand, RuntimeStart
from lambent.runtimes.variables import Process, python_start_variables, python_variables

logger = logging.getLogger(__name__)

WRAPPING = """\
if [ ! -f "$0" ]; then echo "$0: does not exist"; exit 127; fi
if [ ! -x "$0" ]; then echo "$0: is not an executable"; exit 126; fi
exec "$0" "$@"
"""
"""A program started in the runtime's place is looked at by a shell first, as on AWS: what is wrong with it is a line in
the function's log and an exit status, and one without `#!` is a script of that shell."""


@dataclass(frozen=True, slots=True)
class PythonRuntime:
    identifier: str
    interpreter: Interpreter
    warning: str | None = None
    """Set when another version serves the identifier (`--runtime-fallback nearest`); logged at each Init."""

    @property
    def prefix(self) -> Path:
        """The folder of the host that becomes `/var/lang`."""
        return self.interpreter.prefix

    @property
    def version(self) -> str:
        """As in INIT_START: `python:3.12.v1`. AWS counts its builds there; this is the interpreter's patch level."""
        return f"python:{self.interpreter.version}.v{self.interpreter.patch or 0}"

    def version_arn(self, region: str) -> str:
        """Names this build of the interpreter: another one after an upgrade of it."""
        executable = self.interpreter.executable
        status = executable.stat()
        build = f"{self.interpreter.full_version} {executable} {status.st_size} {status.st_mtime_ns}"
        return f"arn:aws:lambda:{region}::runtime:{hashlib.sha256(build.encode()).hexdigest()}"

    def problem(self, code_dir: Path, opt_dir: Path | None) -> str | None:
        """Why there is nothing to start: there always is."""
        return None

    def command(self, process: Process, code_dir: Path | None = None, opt_dir: Path | None = None) -> RenderCommand:
        """What starts a runtime process, once the driver says where things are. Rendered anew at each Init."""

        def render(layout: Layout) -> Command:
            variables = python_variables(process, layout)
            if self.warning is not None:
                logger.warning("function %s: %s", process.function_name, self.warning)
                variables["_LAMBENT_WARNING"] = self.warning
            argv = self._argv(layout)
            wrapper = process.variables.get("AWS_LAMBDA_EXEC_WRAPPER")
            if wrapper:
                argv = ("/bin/sh", "-c", WRAPPING, _here(wrapper, layout), *argv)
            return Command(argv, variables)

        return render

    def _argv(self, layout: Layout) -> tuple[str, ...]:
        # Without `site`: site-packages of the host are not part of the runtime. Not isolated (-I), because functions
        # may use PYTHON* variables, as on AWS. The full path, because Python finds its library by it.
        interpreter = f"{layout.lang}/{self.interpreter.relative_executable}"
        flags = ["-S"] if layout.task == "/var/task" else ["-S", "-B"]  # -B: the package must stay as it is
        return (interpreter, *flags, f"{layout.runtime}/bootstrap.py")

    @property
    def start(self) -> RuntimeStart:
        """How a sandbox with AWS's layout may start it before it is known for whom."""
        return _start(self)


@lru_cache(maxsize=32)
def _start(runtime: PythonRuntime) -> RuntimeStart:
    """Asked for by each environment."""
    variables = python_start_variables(runtime.identifier, AWS_LAYOUT)
    return RuntimeStart(runtime.identifier, runtime.prefix, runtime._argv(AWS_LAYOUT), variables)


def _here(path: str, layout: Layout) -> str:
    """A path as it is on AWS, where this sandbox has it."""
    for there, here in ((AWS_LAYOUT.opt, layout.opt), (AWS_LAYOUT.task, layout.task)):
        if path.startswith(f"{there}/"):
            return here + path.removeprefix(there)
    return path
