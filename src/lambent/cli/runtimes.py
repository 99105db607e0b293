"""`lambent runtimes`: which runtime identifiers this machine serves, and with what. Needs no server."""

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click

from lambent.cli import options
from lambent.cli.table import aligned
from lambent.core.settings import Settings
from lambent.runtimes.catalog import Catalog, RuntimeUnavailable
from lambent.runtimes.custom.runtime import IDENTIFIERS as CUSTOM
from lambent.runtimes.custom.runtime import NAME
from lambent.runtimes.identifiers import PYTHON_VERSIONS
from lambent.runtimes.interpreters import places


@dataclass(frozen=True, slots=True)
class Served:
    identifier: str
    version: str | None
    """Of the interpreter, for example `3.12.1`; None: nothing here serves the identifier."""
    executable: str | None
    reason: str | None
    mend: str | None = None
    """The command that installs a missing interpreter."""


@click.command()
@options.config
@options.as_json
def runtimes(config: Path | None, as_json: bool) -> None:
    """List the runtime identifiers and what serves them on this machine."""
    found = survey(options.settings({}, config))
    found += [Served(identifier, "any", f"the function's own {NAME}", None) for identifier in CUSTOM]
    if as_json:
        click.echo(json.dumps([{name: getattr(each, name) for name in Served.__slots__} for each in found], indent=2))
        return
    rows = [(each.identifier, each.version or "-", _served_by(each)) for each in found]
    for line in aligned([("RUNTIME", "VERSION", "SERVED BY"), *rows]):
        click.echo(line)


def _served_by(each: Served) -> str:
    if each.executable is not None:
        return each.executable if each.reason is None else f"{each.executable} ({each.reason})"
    return f"not here; to install it: {each.mend}" if each.mend is not None else each.reason or ""


def catalog(settings: Settings) -> Catalog:
    """What serves the identifiers here: of PATH, pyenv and uv, and the Python that runs Lambent, wherever it is."""
    where = places(os.environ)
    own = Path(sys.base_prefix) / "bin"
    return Catalog(
        replace(where, bins=(*where.bins, own)),
        configured=settings.interpreters,
        fallback=settings.runtime_fallback,
    )


def survey(settings: Settings, *, other_users: bool = False) -> list[Served]:
    """Every identifier that Lambent can serve, in the order of versions, as a server with these settings would.

    `other_users`: functions run as users that may not see what is the user's own.
    """
    here = catalog(settings)
    if other_users:
        here.serve_other_users()
    found: list[Served] = []
    for identifier in (f"python{version}" for version in PYTHON_VERSIONS):
        try:
            runtime = here.find(identifier)
        except RuntimeUnavailable as error:
            found.append(Served(identifier, None, None, str(error), error.mend))
        else:
            interpreter = runtime.interpreter
            found.append(Served(identifier, interpreter.full_version, str(interpreter.executable), runtime.warning))
    return found
