"""`lambent deploy --watch`: a saved file is the function's code at the next invocation.

Only code is updated. Nothing that goes wrong ends it but the loss of the folder: the old code serves on, and the next
saved file tries again.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from lambent.cli.client import Client
from lambent.cli.deploy import Live, apply
from lambent.cli.deployment import Configuration, Deployment, Wanted
from lambent.cli.failure import REFUSED, Failure
from lambent.cli.logs import POLL_S, Reader, show_event
from lambent.cli.progress import Progress
from lambent.cli.requirements_layer import RequirementsLayer
from lambent.cli.saved_files import saved_files
from lambent.cli.sources import Package, Sources

IDLE_S: Final = 3600.0


@dataclass(slots=True)
class Watch:
    sources: Sources
    deployment: Deployment
    layer: RequirementsLayer
    live: Live | None
    """What the function runs; None when that is not known."""

    def run(self, folder: Path, client: Client, *, logs: bool) -> None:
        """Until Ctrl-C, which is the way to end it and no failure."""
        watcher = saved_files(folder)
        reader = Reader(client, self.deployment.name) if logs else None
        since_ms = time.time_ns() // 1_000_000
        # What was saved while the first deployment went on.
        changed = frozenset({"."})
        first = True
        try:
            while True:
                if changed:
                    self.update(changed)
                if first:
                    click.echo(f"watching  {folder}, until Ctrl-C")
                    first = False
                changed = watcher.wait(IDLE_S if reader is None else POLL_S)
                if reader is not None:
                    follow(reader, since_ms)
        except KeyboardInterrupt:
            click.echo("")
        finally:
            watcher.close()

    def update(self, changed: frozenset[str]) -> None:
        begun = time.perf_counter()
        with Progress() as progress:
            try:
                package = self.sources.package(progress)
                now = Live.of(package)
                if now == self.live:
                    return
                self._deploy(package, now)
            except Failure as failure:
                progress.clear()
                failure.show()
                if failure.message.startswith("ResourceNotFoundException"):
                    click.echo("         it was deleted meanwhile; Ctrl-C and the same command make it again", err=True)
                if failure.exit_code != REFUSED:
                    # A server that was away may be back with other code: whatever is saved next is deployed.
                    self.live = None
                return
            self.live = now
            progress.result(f"live      {_names(changed)} ({(time.perf_counter() - begun) * 1000:.0f} ms)")

    def _deploy(self, package: Package, now: Live) -> None:
        if self.live is not None and now.beside == self.live.beside:
            after = self._put_code(package.code)
            # Somebody else may have set the function's layers.
            if bool(self.layer.split(after)[1]) == (package.beside is not None):
                return
        current = self.deployment.find()
        if current is None:
            self.deployment.put_code(package.code)
        apply(self.deployment, self.layer, Wanted(name=self.deployment.name), package, current)

    def _put_code(self, code: bytes) -> Configuration:
        try:
            return self.deployment.put_code(code)
        except Failure as failure:
            if "update is in progress" not in failure.message:
                raise
        # Somebody else's.
        self.deployment.settled()
        return self.deployment.put_code(code)


def follow(reader: Reader, since_ms: int) -> None:
    try:
        for event in reader.more(since_ms):
            show_event(event)
    except Failure:
        # The next update tells what is wrong with the server.
        return


def _names(changed: frozenset[str]) -> str:
    names = sorted(changed)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
