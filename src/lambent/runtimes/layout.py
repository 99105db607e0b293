"""Where things are as seen by a runtime process, and the command that starts it.

The native driver gives AWS's own paths; the process driver gives paths of the host, because it has no mounts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    task: str
    """Folder of the code: `/var/task`, or the unpacked package itself."""
    runtime: str
    """Folder of the bootstrap and of boto3: `/var/runtime`."""
    lang: str
    """Prefix of the interpreter: `/var/lang`."""
    opt: str
    tmp: str
    runtime_api: str
    """`host:port` for AWS_LAMBDA_RUNTIME_API."""
    aws_endpoint_url: str


AWS_LAYOUT = Layout(
    task="/var/task",
    runtime="/var/runtime",
    lang="/var/lang",
    opt="/opt",
    tmp="/tmp",
    runtime_api="169.254.100.1:9001",
    aws_endpoint_url="http://127.0.0.1:4566",
)
"""Where sandboxes with mounts and networks of their own have everything."""


@dataclass(frozen=True, slots=True)
class Command:
    argv: tuple[str, ...]
    """The first is an absolute path, as seen by the process."""
    variables: Mapping[str, str] = field(repr=False)
    """The whole environment of the process."""


RenderCommand = Callable[[Layout], Command]


@dataclass(frozen=True, slots=True)
class RuntimeStart:
    """How the interpreter of a runtime is started before anybody asks for it: the same for every function."""

    identifier: str
    """For example `python3.12`."""
    lang_prefix: Path
    """On the host; becomes `/var/lang`."""
    argv: tuple[str, ...]
    """Of a runtime process, as seen inside; the bootstrap that it names can wait for the rest."""
    variables: Mapping[str, str] = field(hash=False)
    """What the interpreter and the dynamic linker read when they start, where functions seldom change it."""
