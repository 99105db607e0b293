"""Other processes: seen, signalled, traced, read, and what is shared with them."""

import ctypes
import errno
import os
import resource
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from attempts.raw import Masked, call, reaches  # type: ignore[import-not-found]

_ATTACH = 16
_KEY = 0x4C414D42
_QUEUE = b"lambent-probe"


def see_process(pid: str) -> None:
    os.stat(f"/proc/{pid}")


def count_processes(path: str) -> None:
    """More than this program and its helpers: a process list of the host."""
    if sum(name.isdigit() for name in os.listdir(path)) < 5:
        raise Masked


def variables_of_others(mark: str) -> None:
    """In the variables of any process but this one."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark.encode() in file.read():
                        return
            except OSError:
                continue
    raise Masked


def send_signal(pid: str) -> None:
    os.kill(int(pid), 0)


def send_signal_to_thread(pid: str) -> None:
    call("tgkill", int(pid), int(pid), 0)


def handle_of_process(pid: str) -> None:
    os.close(call("pidfd_open", int(pid), 0))


def take_descriptor() -> None:
    """Of a child: the same right would take those of the first process."""
    with _child() as pid:
        fd = call("pidfd_open", pid, 0)
        os.close(call("pidfd_getfd", fd, 0, 0))


def ptrace() -> None:
    with _child() as pid:
        call("ptrace", _ATTACH, pid, 0, 0)


def ptrace_process(pid: str) -> None:
    call("ptrace", 0x4206, int(pid), 0, 0)  # PTRACE_SEIZE: does not stop it.
    call("ptrace", 17, int(pid), 0, 0)  # Ends with ESRCH when it runs on, as it should.


def memory_file(pid: str) -> None:
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR))


def read_memory() -> None:
    _copy("process_vm_readv")


def write_memory() -> None:
    _copy("process_vm_writev")


def _copy(name: str) -> None:
    here, there = ctypes.create_string_buffer(b"x" * 8), ctypes.create_string_buffer(8)
    local = struct.pack("=QQ", ctypes.addressof(there), 8)
    remote = struct.pack("=QQ", ctypes.addressof(here), 8)
    call(name, os.getpid(), local, 1, remote, 1, 0)


def advise_process() -> None:
    call("process_madvise", call("pidfd_open", os.getpid(), 0), 0, 0, 20, 0)


def compare_processes() -> None:
    call("kcmp", os.getpid(), os.getpid(), 0, 0, 0)


def move_pages() -> None:
    call("move_pages", os.getpid(), 0, 0, 0, 0, 0)


def slow_down(pid: str) -> None:
    os.setpriority(os.PRIO_PROCESS, int(pid), os.getpriority(os.PRIO_PROCESS, int(pid)))


def limit_process(pid: str) -> None:
    resource.prlimit(int(pid), resource.RLIMIT_CORE, resource.prlimit(int(pid), resource.RLIMIT_CORE))


def pin_process(pid: str) -> None:
    os.sched_setaffinity(int(pid), os.sched_getaffinity(int(pid)))


def shared_memory_of_other() -> None:
    call("shmget", _KEY, 0, 0)


def messages_of_other() -> None:
    call("msgget", _KEY, 0)


def semaphores_of_other() -> None:
    call("semget", _KEY, 0, 0)


def queue_of_other() -> None:
    os.close(call("mq_open", _QUEUE, os.O_RDONLY, 0, 0))


def make_shared() -> None:
    """What another environment has made, for those above to be found outside."""
    call("shmget", _KEY, 4096, 0o1600)
    call("msgget", _KEY, 0o1600)
    call("semget", _KEY, 1, 0o1600)
    os.close(call("mq_open", _QUEUE, os.O_RDONLY | os.O_CREAT, 0o600, 0))


def allocate_elsewhere() -> None:
    reaches(errno.EINVAL, "mbind", 0, 0, 0, 0, 0, 0)


@contextmanager
def _child() -> Iterator[int]:
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
