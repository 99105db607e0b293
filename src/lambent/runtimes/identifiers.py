"""The runtime identifiers that AWS knows, as data: language and version.

Which of them this machine can run is `catalog`'s to say; AWS's dates of deprecation refuse nothing here. Source: the
runtimes page of the Lambda developer guide, November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identifier:
    name: str
    language: str
    version: str
    """Of the language, for example `3.12`; empty for custom runtimes."""


PYTHON_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Those that Lambent's bootstrap is made for."""

_NAMES = {
    "python": "2.7 3.6 3.7 3.8 3.9 3.10 3.11 3.12 3.13 3.14 3.15",
    "nodejs": "4.3 4.3-edge 6.10 8.10 10.x 12.x 14.x 16.x 18.x 20.x 22.x 24.x 26.x",
    "java": "8 8.al2 8.al2023 11 11.al2023 17 17.al2023 21 25",
    "dotnetcore": "1.0 2.0 2.1 3.1",
    "dotnet": "6 8 10",
    "ruby": "2.5 2.7 3.2 3.3 3.4 4.0",
    "go": "1.x",
    "provided": ".al2 .al2023",
}

IDENTIFIERS: Mapping[str, Identifier] = {
    identifier.name: identifier
    for identifier in (
        *(Identifier(lang + v, lang, v.lstrip(".")) for lang, versions in _NAMES.items() for v in versions.split()),
        Identifier("provided", "provided", ""),
        Identifier("nodejs", "nodejs", ""),
        Identifier("custom", "custom", ""),
    )
}
