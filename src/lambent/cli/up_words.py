"""What `lambent up` says: that it is ready and what is weaker than it should be, and why it could not start.

Imported with privileges, as all of `up`: nothing here parses what comes from outside.
"""

import errno
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lambent.cli.failure import CANNOT_START, USAGE, Failure
from lambent.core.setting_values import SettingsError
from lambent.core.settings import Settings
from lambent.environments.sandbox.guarantees import GUARANTEES, by_reason
from lambent.gateway.hosts import UnsafeBind
from lambent.launcher.client import LauncherError
from lambent.launcher.privileges import PrivilegesError
from lambent.launcher.wire import EGRESS_STARTING
from lambent.store.datadir import DataDir, DataDirError

if TYPE_CHECKING:
    from lambent.environments.sandbox.probe import Choice

UNUSABLE_PATH = frozenset(
    {errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOSPC, errno.EDQUOT}
)


def say_ready(url: str, sandbox: "Choice", no_internet: str | None, settings: Settings, data_dir: DataDir) -> None:
    name = sandbox.driver.name
    if warning := weakness(name, sandbox.missing, sandbox.reason):
        click.secho(warning, err=True, fg="yellow", bold=True)
    if name != "process" and settings.egress != "none" and (warning := no_way_out(no_internet)):
        click.secho(warning, err=True, fg="yellow")
    if settings.virtual_clock:
        click.secho("The clock of events is virtual: `lambent clock advance 2m` moves it.", err=True, fg="yellow")
    database = f", database: {data_dir.elsewhere}" if settings.database else ""
    click.echo(f"lambent ready on {url} (sandbox: {name}, data: {settings.data_dir}{database})")
    # A script that waits for the line may read it from a pipe.
    sys.stdout.flush()


def no_way_out(problem: str | None) -> str | None:
    """None where it is reached, or will be in a moment: functions that need it wait so long."""
    return None if problem in (None, EGRESS_STARTING) else f"Functions have no way to the internet: {problem}."


def weakness(name: str, missing: Mapping[str, str], reason: str | None) -> str | None:
    """What the sandbox does not give, in words that nobody overlooks; None for the whole native one.

    `missing`: guarantee -> why; `reason`: why the sandbox is not the native one.
    """
    if name == "process" and missing.keys() >= GUARANTEES.keys():
        text = f"functions are NOT isolated: the process sandbox is for development only ({reason})."
    elif name == "process":
        without = ", ".join(missing)
        text = f"functions are isolated in part only: the process sandbox is without {without} ({reason})."
    elif missing:
        each = [f"{', '.join(guarantees)} ({why})" for why, guarantees in by_reason(missing).items()]
        text = f"the {name} sandbox is without " + ";\n         ".join(each) + "."
    else:
        return None
    return f"WARNING: {text}\n         `lambent doctor` says what this machine lacks."


@contextmanager
def one_line_failures(settings: Settings) -> Iterator[None]:
    """What a user can mend is one line, never a traceback."""
    try:
        yield
    except (UnsafeBind, SettingsError) as error:
        raise Failure(str(error), USAGE) from error
    except (LauncherError, PrivilegesError, DataDirError) as error:
        raise Failure(str(error), CANNOT_START) from error
    except OSError as error:
        if (reason := explain(error, settings)) is None:
            raise
        raise Failure(reason, CANNOT_START) from error


def explain(error: OSError, settings: Settings) -> str | None:
    """What the user can do about an error of the system; None where that is a bug of ours."""
    place = f"{settings.host}:{settings.port}"
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {settings.port} is in use on {settings.host}; stop what uses it, or choose another with --port"
            )
        case errno.EADDRNOTAVAIL:
            return f"{settings.host} is no address of this machine; leave --host out for 127.0.0.1"
        case errno.EACCES | errno.EPERM | errno.EROFS if error.filename is not None:
            return f"no permission: {error.filename}: {error.strerror}; choose another folder with --data-dir"
        case errno.EACCES | errno.EPERM:
            return f"no permission to listen on {place}; ports below 1024 are root's: choose another with --port"
        case _ if error.errno in UNUSABLE_PATH and error.filename is not None:
            return f"{error.filename}: {error.strerror}; choose another folder with --data-dir"
    return None
