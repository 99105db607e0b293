"""What moto's process may not do, whatever it is asked: reach the network, start a program, build objects from YAML.

moto delivers messages of SNS, EventBridge and Firehose to any URL, starts containers for Batch and reads templates of
CloudFormation with a loader that calls any Python function. A function in a sandbox that may call these services would
get out by each of them. The rule is kept by the interpreter (an audit hook, which cannot be taken off again).
"""

import sys
from typing import Any, Final

REFUSED: Final = frozenset({"cloudformation"})
"""Services of moto that are not started: templates are read by `yaml.Loader`, which executes what they say."""

_NETWORK: Final = frozenset(
    {
        *("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname"),
        *("socket.sendmsg", "socket.sendto"),
    }
)
_PROGRAMS: Final = frozenset(
    {"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "subprocess.Popen"}
)


def isolate() -> None:
    """For the rest of this process."""
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    # No OSError: that would be tried again, or be taken for an endpoint that is down.
    if event in _NETWORK:
        raise NotImplementedError("nothing is delivered to a URL, and no other host is asked")
    if event in _PROGRAMS:
        raise NotImplementedError("no program and no container is started")
