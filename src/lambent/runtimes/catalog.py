"""Which runtime identifiers this machine can run, with what, and why not.

An identifier is served by an interpreter of exactly its version, or, where the user has asked for it, by the nearest
one with a warning; never silently by another.
"""

import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.runtimes import interpreters
from lambent.runtimes.custom import runtime as custom
from lambent.runtimes.custom.runtime import CustomRuntime
from lambent.runtimes.identifiers import IDENTIFIERS, PYTHON_VERSIONS, Identifier
from lambent.runtimes.interpreters import Interpreter, Places
from lambent.runtimes.machine_code import foreign_file, host_architecture
from lambent.runtimes.python.runtime import PythonRuntime

_LANGUAGES = {
    "nodejs": "Node.js",
    "java": "Java",
    "dotnet": ".NET",
    "dotnetcore": ".NET Core",
    "ruby": "Ruby",
    "go": "Go",
}


Runtime = PythonRuntime | CustomRuntime


class RuntimeUnavailable(Exception):
    """This machine cannot run an identifier. The message is for the function's StateReason and for `doctor`.

    `mend` is the command that installs what is missing, or several with "or" between them; None where none does.
    """

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(message)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    code: str
    """A StateReasonCode of the API."""


class Catalog:
    """Finds interpreters when they are first asked for. A missing one is looked for again each time."""

    def __init__(
        self,
        where: Places,
        *,
        configured: Sequence[tuple[str, Path]] = (),
        fallback: str = "none",
        machine: str | None = None,
    ) -> None:
        self._where = where
        self._configured: Mapping[str, Path] = dict(configured)
        self._fallback = fallback
        self._architecture = host_architecture(machine or platform.machine())
        self._found: dict[str, PythonRuntime] = {}
        self._for_others = False

    def serve_other_users(self) -> None:
        """Functions will run as users of their own, without a view of files made for them: from now on an interpreter
        that others may not execute is none."""
        self._for_others = True
        self._found.clear()

    def find(self, identifier: str) -> PythonRuntime:
        """Raises RuntimeUnavailable."""
        runtime = self._found.get(identifier)
        # One that we may not look at is not there; Path.exists would raise.
        if runtime is not None and os.path.exists(runtime.interpreter.executable):
            return runtime
        runtime = self._look_for(identifier)
        self._found[identifier] = runtime
        return runtime

    def serving(self, identifier: str) -> Runtime:
        """As `find`, also of custom runtimes, which need nothing of this machine."""
        return CustomRuntime(identifier) if identifier in custom.IDENTIFIERS else self.find(identifier)

    def known(self, identifier: str) -> PythonRuntime | None:
        """What was found before; looks nowhere."""
        return self._found.get(identifier)

    def version_arn(self, identifier: str, region: str) -> str | None:
        """The ARN of the build that serves the identifier here; None when none does."""
        try:
            return self.serving(identifier).version_arn(region)
        except RuntimeUnavailable:
            return None

    def available(self) -> list[PythonRuntime]:
        """Of the identifiers that Lambent can run, those that this machine has now, without fallbacks."""
        runtimes = []
        for version in PYTHON_VERSIONS:
            try:
                runtime = self.find(f"python{version}")
            except RuntimeUnavailable:
                continue
            if runtime.warning is None:
                runtimes.append(runtime)
        return runtimes

    def refusal(self, runtime: str, architecture: str, code_dir: Path) -> Refusal | None:
        """Why a function cannot run here, or None. `architecture` as in the API: `x86_64` or `arm64`."""
        try:
            self.serving(runtime)
        except RuntimeUnavailable as error:
            return Refusal(str(error), "InvalidRuntime")
        if architecture == self._architecture:
            return None
        foreign = foreign_file(code_dir, self._architecture)
        if foreign is None:
            return None
        path, built_for = foreign
        return Refusal(
            f"The function is for {architecture}, this machine is {self._architecture}, and the package holds code "
            f"compiled for {built_for}: {path}. Package it for {self._architecture} to run it here.",
            "InvalidConfiguration",
        )

    def _look_for(self, identifier: str) -> PythonRuntime:
        known = IDENTIFIERS.get(identifier)
        if known is None:
            raise RuntimeUnavailable(f"{identifier} is not a runtime identifier of Lambda.")
        if known.language != "python" or known.version not in PYTHON_VERSIONS:
            raise RuntimeUnavailable(_not_built(known))
        path = self._configured.get(identifier)
        if path is not None:
            configured = _configured_interpreter(identifier, known.version, path)
            if not self._usable([configured]):
                raise _closed(configured)
            return PythonRuntime(identifier, configured)
        found = interpreters.find_all(known.version, self._where)
        if usable := self._usable(found):
            return PythonRuntime(identifier, usable[0])
        missing = _closed(found[0]) if found else self._missing(known.version)
        if self._fallback == "nearest":
            return self._nearest(identifier, known.version, missing)
        raise missing

    def _nearest(self, identifier: str, version: str, missing: RuntimeUnavailable) -> PythonRuntime:
        for other in _by_distance(version):
            found = self._usable(interpreters.find_all(other, self._where))
            if found:
                warning = f"{identifier} runs on Python {found[0].full_version}: this machine has no Python {version}"
                return PythonRuntime(identifier, found[0], warning)
        raise missing

    def _usable(self, found: Sequence[Interpreter]) -> Sequence[Interpreter]:
        if not self._for_others:
            return found
        return [each for each in found if interpreters.closed_to_others(each) is None]

    def _missing(self, version: str) -> RuntimeUnavailable:
        mend = self._mend(version)
        return RuntimeUnavailable(
            f"python{version} needs an interpreter of Python {version}, and this machine has none in PATH, of pyenv or "
            f"of uv. To install one: {mend}. Or name one in the setting interpreters: "
            f"python{version}=/path/to/python{version}.",
            mend.replace("`", ""),
        )

    def _mend(self, version: str) -> str:
        path = ":".join(str(folder) for folder in self._where.bins)
        commands = {
            "uv": f"`uv python install {version}`",
            "pyenv": f"`pyenv install {version}`",
            "brew": f"`brew install python@{version}`",
        }
        installed = [command for tool, command in commands.items() if shutil.which(tool, path=path)]
        if installed:
            return " or ".join(installed)
        return f"{commands['uv']} (uv: https://docs.astral.sh/uv) or {commands['pyenv']}"


def _closed(interpreter: Interpreter) -> RuntimeUnavailable:
    path = interpreters.closed_to_others(interpreter)
    return RuntimeUnavailable(
        f"Functions are other users here, and cannot execute {interpreter.executable}: {path} is closed to them. "
        f"Open it (`chmod o+x {path}`), or install Python {interpreter.version} where all may read, as in /usr/local.",
        f"chmod o+x {path}",
    )


def _not_built(identifier: Identifier) -> str:
    built = f"it runs python{PYTHON_VERSIONS[0]} to python{PYTHON_VERSIONS[-1]} and provided.*"
    if identifier.language == "python":
        return f"Lambent does not run {identifier.name}: {built}."
    language = _LANGUAGES.get(identifier.language, identifier.language)
    return f"Lambent does not run {language} functions yet ({identifier.name}): {built}."


def _configured_interpreter(identifier: str, version: str, path: Path) -> Interpreter:
    interpreter = interpreters.inspect(path, version)
    if interpreter is None:
        raise RuntimeUnavailable(
            f"The setting interpreters names {path} for {identifier}, and that is no interpreter of Python {version} "
            "with its standard library."
        )
    return interpreter


def _by_distance(version: str) -> list[str]:
    """The other versions, nearest first; of two as near, the newer."""
    minor = int(version.partition(".")[2])
    others = [other for other in PYTHON_VERSIONS if other != version]
    return sorted(others, key=lambda other: (abs(int(other[2:]) - minor), -int(other[2:])))
