"""What was made while the process still had privileges, as the server takes it over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lambent.environments.sandbox.probe import Choice
from lambent.launcher.client import LauncherClient
from lambent.runtimes.catalog import Catalog
from lambent.store.datadir import DataDir

Ready = Callable[[str, Choice, str | None], None]
"""Told the URL, the sandbox, and why functions do not reach the internet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    data_dir: DataDir
    catalog: Catalog
    runtime_entries: Mapping[str, Path]
    launcher: LauncherClient | None
    problem: str | None
    """Why there is no launcher."""
    held: int | None = None
    """A pipe whose other end somebody holds who wants this server no longer than that."""
