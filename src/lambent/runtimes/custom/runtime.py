"""A custom runtime: the program `bootstrap` of the function or of its layers, which speaks the Runtime API itself.

Nothing of it waits before the function is known, and no wrapper is put around it, as on AWS. The system that it finds
is this machine's and not Amazon Linux.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lambent.runtimes.layout import AWS_LAYOUT, Command, Layout, RenderCommand
from lambent.runtimes.variables import Process, custom_variables

NAME: Final = "bootstrap"
IDENTIFIERS: Final = ("provided", "provided.al2", "provided.al2023")
LANG: Final = Path(__file__).with_name("lang")


@dataclass(frozen=True, slots=True)
class CustomRuntime:
    identifier: str

    @property
    def prefix(self) -> Path:
        """The folder of the host that becomes `/var/lang`."""
        return LANG

    @property
    def start(self) -> None:
        """No interpreter that could wait."""
        return

    @property
    def version(self) -> str:
        """As in INIT_START."""
        return f"{self.identifier.replace('.', ':')}.v1"

    def version_arn(self, region: str) -> str:
        return f"arn:aws:lambda:{region}::runtime:{hashlib.sha256(self.identifier.encode()).hexdigest()}"

    def command(self, process: Process, code_dir: Path, opt_dir: Path | None) -> RenderCommand:
        """What starts a runtime process; the function's own program before one of its layers."""
        in_layer = not _there(code_dir) and opt_dir is not None and _there(opt_dir)

        def render(layout: Layout) -> Command:
            folder = layout.opt if in_layer else layout.task
            return Command((f"{folder}/{NAME}",), self._variables(process, layout))

        return render

    def _variables(self, process: Process, layout: Layout) -> Mapping[str, str]:
        return custom_variables(process, layout)

    def problem(self, code_dir: Path, opt_dir: Path | None) -> str | None:
        """Why there is nothing to start, in Lambda's words; None: there is."""
        if _there(code_dir) or (opt_dir is not None and _there(opt_dir)):
            return None
        places = " ".join(f"{folder}/{NAME}" for folder in (AWS_LAYOUT.task, AWS_LAYOUT.opt))
        return f"Couldn't find valid bootstrap(s): [{places}]"


def _there(folder: Path) -> bool:
    return os.path.isfile(folder / NAME)
