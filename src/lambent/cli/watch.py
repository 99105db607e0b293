"""`lambent deploy --watch`: a saved file is the function's code at the next invocation.

Only code is updated. Nothing that goes wrong ends it but the loss of the folder: the old code serves on, and the next
saved file tries again.
"""

import time
from pathlib import Path
from typing import Final

import click

from lambent.cli.client import Client
from lambent.cli.deploy import Outcome, Sources
from lambent.cli.deployment import Deployment, code_sha256
from lambent.cli.failure import REFUSED, Failure
from lambent.cli.logs import POLL_S, Reader, show_event
from lambent.cli.progress import Progress
from lambent.cli.saved_files import saved_files

IDLE_S: Final = 3600.0


def watch_folder(
    folder: Path, sources: Sources, deployment: Deployment, client: Client, deployed: Outcome, *, logs: bool
) -> None:
    """Until Ctrl-C, which is the way to end it and no failure."""
    watcher = saved_files(folder)
    reader = Reader(client, deployed.configuration["FunctionName"]) if logs else None
    since_ms = time.time_ns() // 1_000_000
    # What was saved while the first deployment went on.
    live = deployed.configuration["CodeSha256"]
    changed = frozenset({"."})
    first = True
    try:
        while True:
            if changed:
                live = update(sources, deployment, live, changed)
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


def update(sources: Sources, deployment: Deployment, live: str, changed: frozenset[str]) -> str:
    """The digest of the code that is live afterwards."""
    begun = time.perf_counter()
    with Progress() as progress:
        try:
            package = sources.package(progress)
            digest = code_sha256(package)
            if digest == live:
                return live
            try:
                deployment.put_code(package)
            except Failure as failure:
                if "update is in progress" not in failure.message:
                    raise
                # Somebody else's.
                deployment.settled()
                deployment.put_code(package)
        except Failure as failure:
            progress.clear()
            failure.show()
            # A server that was away may be back with other code: whatever is saved next is deployed.
            return live if failure.exit_code == REFUSED else ""
        progress.result(f"live      {_names(changed)} ({(time.perf_counter() - begun) * 1000:.0f} ms)")
        return digest


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
