"""The layer that holds a function's requirements while `--watch` goes on: one of the function's own name, with one
version, found again by what it holds."""

import base64
import json
from typing import Any, Final

from lambent.cli.client import Client
from lambent.cli.deployment import Configuration
from lambent.cli.sources import Installed

LAYERS: Final = "/2018-10-31/layers"
MOST: Final = 5
"""Layers that a function may have."""


class RequirementsLayer:
    def __init__(self, client: Client, function: str) -> None:
        self._client = client
        name = function.rpartition(":")[2]
        self._mark = f":layer:lambent-requirements-{name}:"
        self._path = f"{LAYERS}/lambent-requirements-{name}/versions"

    def arn_of(self, needed: Installed) -> str:
        """Of the version that holds this; published when there is none."""
        described = f"Requirements of a function, by lambent deploy --watch. {needed.content}"
        for version in self._versions():
            if version["Description"] == described:
                return str(version["LayerVersionArn"])
        content = {"ZipFile": base64.b64encode(needed.layer()).decode()}
        body = {"Content": content, "Description": described, "CompatibleRuntimes": [f"python{needed.python}"]}
        sent = json.dumps(body).encode()
        published = self._client.call("POST", self._path, None, sent, {"content-type": "application/json"})
        return str(published.json()["LayerVersionArn"])

    def keep_only(self, arn: str | None) -> None:
        """Functions that use a version keep it when it is deleted, their published versions too."""
        for version in self._versions():
            if version["LayerVersionArn"] != arn:
                self._client.call("DELETE", f"{self._path}/{version['Version']}")

    def split(self, configuration: Configuration | None) -> tuple[list[str], list[str]]:
        """The ARNs of the function's layers that are not ours, and of those that are."""
        arns = [layer["Arn"] for layer in (configuration or {}).get("Layers") or ()]
        return [arn for arn in arns if self._mark not in arn], [arn for arn in arns if self._mark in arn]

    def _versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._client.get(self._path)["LayerVersions"]
        return found
