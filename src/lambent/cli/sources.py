"""What a folder deploys: the package of its files, and what its requirements.txt asks for, in it or beside it.

Beside it, in a layer, only where somebody waits for each saved file: then the folder's own files are all that is sent.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from lambent.cli.failure import USAGE, Failure
from lambent.cli.progress import Progress
from lambent.packaging import archive, requirements
from lambent.packaging.folder import PackagingError, files

BESIDE_FROM: Final = 200_000
"""Bytes of installed requirements, zipped, that are worth a layer; less is sent in a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What requirements.txt asks for, as pip has installed it. Looked at once: it may be large, and a save waits."""

    package: bytes
    python: str
    content: str
    """A digest of what it is, for which Python."""
    names: frozenset[str]
    """What its files lie in."""

    @classmethod
    def of(cls, package: bytes, python: str) -> Self:
        content = hashlib.sha256(python.encode() + b"\0" + package).hexdigest()
        return cls(package, python, content, requirements.top_names(package))

    def layer(self) -> bytes:
        return requirements.as_layer(self.package, self.python)


@dataclass(frozen=True, slots=True)
class Package:
    code: bytes
    beside: Installed | None = None
    """What the code needs and does not hold."""


@dataclass(slots=True)
class Sources:
    """A folder and its requirements; what is installed is remembered."""

    folder: Path
    runtime: str
    apart: bool = False
    """Whether requirements may stay out of the code."""
    _memory: archive.Memory = field(default_factory=archive.Memory)
    _installed: tuple[str | None, Installed] | None = None

    def package(self, progress: Progress) -> Package:
        """Raises `Failure` when the folder cannot be packaged."""
        try:
            needed = self._requirements(progress)
            if needed is None:
                return Package(archive.of_folder(self.folder, None, self._memory))
            if self.apart and len(needed.package) >= BESIDE_FROM and not self._shares_names(needed):
                return Package(archive.of_folder(self.folder, None, self._memory), needed)
            return Package(archive.of_folder(self.folder, needed.package, self._memory))
        except PackagingError as error:
            raise Failure(str(error), USAGE) from error

    def _shares_names(self, needed: Installed) -> bool:
        """In one package files of one folder come together; on a path the first folder of a name hides the others."""
        return not needed.names.isdisjoint(map(requirements.top_name, files(self.folder)))

    def _requirements(self, progress: Progress) -> Installed | None:
        file = self.folder / requirements.FILE
        if not self.runtime.startswith("python") or not file.is_file():
            return None
        python = self.runtime.removeprefix("python")
        digest = requirements.digest(file, python)
        if self._installed is None or digest is None or self._installed[0] != digest:
            if not requirements.is_kept(file, python):
                progress.show(f"installing {requirements.FILE} for {self.runtime}")
            self._installed = digest, Installed.of(requirements.installed(file, python), python)
        return self._installed[1]
