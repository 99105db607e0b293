"""Where things are as seen by a runtime process, and the command that starts it.

The native driver gives AWS's own paths; the process driver gives paths of the host, because it has no mounts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class Command:
    argv: tuple[str, ...]
    """The first is an absolute path, as seen by the process."""
    variables: Mapping[str, str] = field(repr=False)
    """The whole environment of the process."""


RenderCommand = Callable[[Layout], Command]
