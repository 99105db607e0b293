"""What a Python function finds in `/var/runtime`: the bootstrap, and boto3 as on AWS.

boto3 and what it needs come from Lambent's own installation, so that a function never waits for a download.
"""

import importlib.util
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_BOOTSTRAP = Path(__file__).parent / "bootstrap"
_BOOTSTRAP_ENTRIES = ("bootstrap.py", "lambent_runtime", "snapshot_restore_py.py")

_DISTRIBUTIONS = {
    "boto3": "boto3",
    "botocore": "botocore",
    "s3transfer": "s3transfer",
    "jmespath": "jmespath",
    "python-dateutil": "dateutil",
    "six": "six",
    "urllib3": "urllib3",
}
"""Distribution -> the one module or package that it installs."""


def runtime_files() -> Mapping[str, Path]:
    """Name in `/var/runtime` -> file or folder of the host. Raises ModuleNotFoundError when boto3 is not installed."""
    entries = {name: _BOOTSTRAP / name for name in _BOOTSTRAP_ENTRIES}
    for distribution, module in _DISTRIBUTIONS.items():
        entries.update(_installed(distribution, module))
    return entries


def _installed(distribution: str, module: str) -> dict[str, Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{distribution} is a part of the Python runtimes and is not installed", name=module)
    path = Path(spec.origin)
    if path.name == "__init__.py":
        path = path.parent
    entries = {path.name: path}
    # Functions ask importlib.metadata for the version of boto3.
    for name in (distribution, distribution.replace("-", "_")):
        entries |= {found: path.parent / found for found in _descriptions(path.parent) if found.startswith(f"{name}-")}
    return entries


# Not by importlib.metadata: it takes the parsers of mail, of zip and of CSV with it, at every start.
@cache
def _descriptions(folder: Path) -> tuple[str, ...]:
    return tuple(name for name in os.listdir(folder) if name.endswith(".dist-info"))
