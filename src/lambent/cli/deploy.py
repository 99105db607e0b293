"""`lambent deploy`: a folder becomes a function, or the new code of one; `--watch` goes on at every saved file."""

import os
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click

from lambent.cli import options
from lambent.cli.client import Client, Credentials
from lambent.cli.deployed_url import AUTH_TYPES, DeployedUrl, deploy_url
from lambent.cli.deployment import Configuration, Deployment, Wanted, code_sha256
from lambent.cli.failure import CANNOT_START, USAGE, Failure
from lambent.cli.progress import Progress
from lambent.cli.requirements_layer import MOST, RequirementsLayer
from lambent.cli.sources import Package, Sources
from lambent.packaging.folder import PackagingError
from lambent.packaging.handlers import candidates, guess

MACHINES: Final = {"arm64": "arm64", "aarch64": "arm64"}


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", help="Of the function.  [default: the name of the folder]")
@click.option("--handler", metavar="MODULE.FUNCTION", help="What is called.  [default: what the sources make clear]")
@click.option("--runtime", metavar="ID", help="As python3.12.  [default: one that the server has]")
@click.option("--role", metavar="ARN", help="The execution role.  [default: a name that no role needs to have]")
@click.option("--memory", type=int, metavar="MB", help="Of an environment.  [default: 128]")
@click.option("--timeout", type=int, metavar="SECONDS", help="Of an invocation.  [default: 3]")
@click.option("--env", "variables", multiple=True, metavar="K=V", help="Set an environment variable. Repeatable.")
@click.option("--layer", "layers", multiple=True, metavar="ARN", help="Use a layer version. Repeatable, in order.")
@click.option(
    "--url",
    metavar="[none|iam]",
    callback=lambda _context, _option, text: auth_type(text),
    is_flag=False,
    flag_value="none",
    help="Give it a function URL, for everybody; 'iam': for signed requests. After DIR.",
)
@click.option("--watch", is_flag=True, help="Deploy again whenever a file is saved, until Ctrl-C.")
@click.option("--logs", is_flag=True, help="With --watch: show the function's log meanwhile.")
@options.endpoint
def deploy(
    folder: Path,
    name: str | None,
    handler: str | None,
    runtime: str | None,
    role: str | None,
    memory: int | None,
    timeout: int | None,
    variables: tuple[str, ...],
    layers: tuple[str, ...],
    url: str | None,
    watch: bool,
    logs: bool,
    endpoint: str | None,
) -> None:
    """Package the folder DIR and create or update its function.

    A requirements.txt in DIR is installed into the package, for the function's Python. `.lambentignore` names files to
    leave out. What is not given stays as it is in a function that exists.
    """
    if logs and not watch:
        raise Failure("--logs goes with --watch; else: lambent logs NAME --follow", USAGE)
    if not folder.is_dir():
        raise Failure(f"{folder} is no folder", USAGE)
    wanted = Wanted(
        name=name or name_of(folder),
        runtime=runtime,
        handler=handler,
        role=role,
        memory_mb=memory,
        timeout_s=timeout,
        variables=parse_variables(variables),
        layers=layers,
    )
    client = Client.choose(endpoint)
    with Progress() as progress:
        begun = time.perf_counter()
        deployment = Deployment(client, wanted.name, progress.show)
        current = deployment.find()
        wanted = completed(wanted, folder, current, client)
        layer = RequirementsLayer(client, wanted.name)
        others = wanted.layers or layer.split(current)[0]
        sources = Sources(folder, wanted.runtime or "", apart=watch and len(others) < MOST)
        package = sources.package(progress)
        outcome = apply(deployment, layer, wanted, package, current)
        called = None if url is None else deploy_url(client, wanted.name, url)
        for line in report(outcome, package, current, called, time.perf_counter() - begun):
            progress.result(line)
    if watch:
        from lambent.cli.watch import Watch

        Watch(sources, deployment, layer, Live.of(package)).run(folder, client, logs=logs)


def auth_type(text: str | None) -> str | None:
    """As the API names it."""
    if text is not None and text not in AUTH_TYPES:
        raise Failure(f"--url is 'none' or 'iam', not '{text}'; a folder comes before it: DIR --url", USAGE)
    return None if text is None else AUTH_TYPES[text]


def name_of(folder: Path) -> str:
    name = re.sub(r"[^a-zA-Z0-9_-]+", "-", folder.resolve().name).strip("-")[:64]
    if not name:
        raise Failure(f"the folder {folder} gives no name for a function; give one with --name", USAGE)
    return name


def parse_variables(texts: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise Failure(f"--env '{text}' is no variable; write NAME=VALUE", USAGE)
        found[name] = value
    return found


def completed(wanted: Wanted, folder: Path, current: Configuration | None, client: Client) -> Wanted:
    """With what was not given: as the function is, else as the folder and the server make clear."""
    if wanted.runtime is not None:
        refuse_unserved(wanted.runtime, client)
    runtime = wanted.runtime or (current or {}).get("Runtime") or choose_runtime(client)
    handler = wanted.handler
    if handler is None and (current is None or runtime.startswith("python")):
        handler = _handler(folder, None if current is None else current["Handler"])
    if current is not None:
        return replace(wanted, runtime=runtime, handler=handler)
    role = wanted.role or _role()
    architecture = MACHINES.get(platform.machine(), "x86_64")
    return replace(wanted, runtime=runtime, handler=handler, role=role, architecture=architecture)


def _handler(folder: Path, current: str | None) -> str:
    try:
        # A path or a package in the name is the user's own choice, and not ours to doubt.
        if current is not None and (current.count(".") != 1 or "/" in current or current in candidates(folder)):
            return current
        return guess(folder)
    except PackagingError as error:
        raise Failure(str(error), USAGE) from error


def choose_runtime(client: Client) -> str:
    """That of our own Python where the server has it, else its newest."""
    served = [name for name in client.health()["runtimes"] if name.startswith("python")]
    if not served:
        raise Failure("the server has no Python runtime; see: lambent doctor", CANNOT_START)
    own = "python" + ".".join(platform.python_version_tuple()[:2])
    return own if own in served else max(served, key=lambda name: int(name.rpartition(".")[2]))


def refuse_unserved(runtime: str, client: Client) -> None:
    """Before anything changes: the API would keep the name, and each later deployment would fail by it."""
    served = client.health()["runtimes"]
    if runtime not in served:
        here = ", ".join(served) or "none"
        raise Failure(f"the server does not run {runtime}; it runs {here} (see: lambent runtimes)", USAGE)


def _role() -> str:
    key = Credentials.from_variables(os.environ).access_key
    account = key if re.fullmatch(r"\d{12}", key) else "000000000000"
    return f"arn:aws:iam::{account}:role/lambent-deploy"


@dataclass(frozen=True, slots=True)
class Outcome:
    configuration: Configuration
    changed: tuple[str, ...]
    """Members of the configuration, and `code`; empty: nothing was done."""
    created: bool


@dataclass(frozen=True, slots=True)
class Live:
    """What is deployed, by digests."""

    code: str
    beside: str | None

    @classmethod
    def of(cls, package: Package) -> "Live":
        return cls(code_sha256(package.code), None if package.beside is None else package.beside.content)


def apply(
    deployment: Deployment, layer: RequirementsLayer, wanted: Wanted, package: Package, current: Configuration | None
) -> Outcome:
    """With the package's requirements in `layer` when they are not in its code, and without that layer else."""
    needed = [] if package.beside is None else [layer.arn_of(package.beside)]
    others, own = layer.split(current)
    others = list(wanted.layers) or others
    # Ours is the last, as later ones win: in a package of its own nothing of a layer comes before requirements.
    first = replace(wanted, layers=(*others, *(needed or own)))
    if current is None:
        outcome = Outcome(deployment.create(first, package.code), (), created=True)
    else:
        outcome = _update(deployment, first, package.code, current)
        if own and not needed:
            after = deployment.configure({"Layers": others})
            outcome = Outcome(after, tuple(dict.fromkeys((*outcome.changed, "Layers"))), created=False)
    if own or needed:
        layer.keep_only(needed[0] if needed else None)
    return outcome


def _update(deployment: Deployment, wanted: Wanted, code: bytes, current: Configuration) -> Outcome:
    if current.get("State") == "Pending" or current.get("LastUpdateStatus") == "InProgress":
        current = deployment.settled()
    changed: list[str] = []
    after = current
    # The configuration first: code of the new package may need it, and old code has its handler until then.
    if settings := wanted.settings(current):
        after = deployment.configure(settings)
        changed += settings
    # After a failed update the same code may be what mends it.
    if code_sha256(code) != current.get("CodeSha256") or current.get("LastUpdateStatus") == "Failed":
        after = deployment.put_code(code)
        changed.append("code")
    return Outcome(after, tuple(changed), created=False)


def report(
    outcome: Outcome, package: Package, before: Configuration | None, called: DeployedUrl | None, took_s: float
) -> list[str]:
    after = outcome.configuration
    name = after["FunctionName"]
    what = "created" if outcome.created else "updated" if outcome.changed else "unchanged"
    lines = [
        _row(what, f"{name} ({after.get('Runtime')}, {after.get('Handler')}) in {took_s:.2f} s"),
        _row("arn", after["FunctionArn"]),
        _row("package", f"{_size(len(package.code))} zip"),
    ]
    if package.beside is not None:
        lines.append(_row("layer", f"{_size(len(package.beside.package))} of requirements, while it is watched"))
    if outcome.changed:
        lines.append(_row("changed", ", ".join(_change(each, before or {}, after) for each in outcome.changed)))
    if called is not None:
        lines.append(_row("url", f"{called.url} ({called.auth_type})"))
    lines.append(_row("invoke", f"lambent invoke {name} '{{}}' --log"))
    return lines


def _change(member: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if member == "Environment":
        # Values may be secrets.
        return "environment variables"
    if member in ("code", "Layers"):
        return member.lower()
    return f"{member} {before.get(member)} -> {after.get(member)}"


def _row(subject: str, text: str) -> str:
    return f"{subject:<10}{text}"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} KB"
