"""Attempts to get out of a sandbox. The same file runs outside, where each must succeed, and inside, where each must
fail with the errno that the test names.

`python sandbox_probes.py FILE`: each line of FILE is NAME ARGUMENTS; prints `ok` or the name of the errno. Raw system
calls by ctypes, since Python has few of these.
"""

import ctypes
import errno
import mmap
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

_X86 = {
    "mount": 165, "umount2": 166, "ptrace": 101, "unshare": 272, "setns": 308, "bpf": 321, "io_uring_setup": 425,
    "keyctl": 250, "userfaultfd": 323, "perf_event_open": 298, "open_by_handle_at": 304, "process_vm_readv": 310,
    "kexec_load": 246, "init_module": 175, "reboot": 169, "swapon": 167, "chroot": 161, "pivot_root": 155,
    "clone3": 435, "sethostname": 170, "settimeofday": 164, "open_tree": 428, "mount_setattr": 442, "kcmp": 312,
    "name_to_handle_at": 303, "personality": 135, "clone": 56, "unknown": 600,
}  # fmt: skip
_ARM = {
    "mount": 40, "umount2": 39, "ptrace": 117, "unshare": 97, "setns": 268, "bpf": 280, "io_uring_setup": 425,
    "keyctl": 219, "userfaultfd": 282, "perf_event_open": 241, "open_by_handle_at": 265, "process_vm_readv": 270,
    "kexec_load": 104, "init_module": 105, "reboot": 142, "swapon": 224, "chroot": 51, "pivot_root": 41,
    "clone3": 435, "sethostname": 161, "settimeofday": 170, "open_tree": 428, "mount_setattr": 442, "kcmp": 272,
    "name_to_handle_at": 264, "personality": 92, "clone": 220, "unknown": 600,
}  # fmt: skip
_NUMBERS = _X86 if os.uname().machine == "x86_64" else _ARM
_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes) -> int:
    values = [each if isinstance(each, bytes) else ctypes.c_long(each) for each in arguments]
    result = int(_libc.syscall(ctypes.c_long(_NUMBERS[name]), *values))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def read(path: str) -> None:
    with open(path, "rb") as file:
        file.read(16)


def listdir(path: str) -> None:
    os.listdir(path)


def write(path: str) -> None:
    with open(path, "ab"):
        pass


def create(folder: str) -> None:
    path = Path(folder, f"made-{os.getpid()}")
    path.touch()
    path.unlink()


def send_signal(pid: str) -> None:
    os.kill(int(pid), 0)


def see_process(pid: str) -> None:
    os.stat(f"/proc/{pid}")


def tcp(address: str) -> None:
    host, port = address.rsplit(":", 1)
    socket.create_connection((host, int(port)), 2).close()


def unix(name: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:] if name.startswith("@") else name)


def socket_of(family: str, kind: str, protocol: str) -> None:
    socket.socket(int(family), int(kind), int(protocol)).close()


def mount(target: str) -> None:
    call("mount", b"none", target.encode(), b"tmpfs", 0, 0)
    call("umount2", target.encode(), 2)


def ptrace() -> None:
    child = os.fork()
    if child == 0:
        signal.pause()
        os._exit(0)
    try:
        call("ptrace", 16, child, 0, 0)  # PTRACE_ATTACH
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def unshare(flags: str) -> None:
    _in_child(lambda: call("unshare", int(flags, 16)))


def clone(flags: str) -> None:
    def forked() -> None:
        if call("clone", int(flags, 16) | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)

    _in_child(forked)


def clone3(flags: str) -> None:
    def forked() -> None:
        arguments = struct.pack("=11Q", int(flags, 16), 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
        if call("clone3", arguments, len(arguments)) == 0:
            os._exit(0)

    _in_child(forked)


def setns(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    _in_child(lambda: call("setns", fd, 0))


def bpf() -> None:
    os.close(call("bpf", 0, struct.pack("=4I", 2, 4, 4, 1) + bytes(100), 100))  # BPF_MAP_CREATE of an array


def io_uring() -> None:
    os.close(call("io_uring_setup", 1, bytes(120)))


def keyctl() -> None:
    call("keyctl", 0, -3, 1)  # Id of the session keyring.


def userfaultfd() -> None:
    os.close(call("userfaultfd", os.O_CLOEXEC | 1))


def perf() -> None:
    attributes = struct.pack("=IIQ", 1, 112, 0) + bytes(96)  # Software, CPU clock.
    os.close(call("perf_event_open", attributes, 0, -1, -1, 0))


def handle(path: str) -> None:
    """Open a file by its handle, the classic way out of a container."""
    buffer = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0) + bytes(128))
    mount_id = ctypes.c_int()
    pointer = ctypes.addressof(buffer)
    call("name_to_handle_at", -100, path.encode(), pointer, ctypes.addressof(mount_id), 0)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.close(call("open_by_handle_at", folder, pointer, os.O_RDONLY))


def vm_read() -> None:
    data, into = ctypes.create_string_buffer(b"x" * 8), ctypes.create_string_buffer(8)
    local = struct.pack("=QQ", ctypes.addressof(into), 8)
    remote = struct.pack("=QQ", ctypes.addressof(data), 8)
    call("process_vm_readv", os.getpid(), local, 1, remote, 1, 0)


def chroot() -> None:
    _in_child(lambda: call("chroot", b"/"))


def hostname() -> None:
    name = os.uname().nodename.encode()
    call("sethostname", name, len(name))


def foreign_architecture() -> None:
    """getpid of 32-bit x86; a filter for one architecture only would let it through."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(bytes.fromhex("b814000000cd80c3"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _in_child(lambda: ctypes.CFUNCTYPE(ctypes.c_int)(address)())


def device(folder: str) -> None:
    path = f"{folder}/null-{os.getpid()}"
    os.mknod(path, 0o20666, os.makedev(1, 3))
    os.unlink(path)


def become(uid: str) -> None:
    _in_child(lambda: os.setresuid(int(uid), int(uid), int(uid)))


def nice(value: str) -> None:
    _in_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, int(value)))


def _in_child(action: Callable[[], object]) -> None:
    """The effect stays in a child; its errno comes back."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        raise OSError(f"killed by {signal.Signals(-code).name}")
    if code:
        raise OSError(code, "in the child")


def attempt(name: str, *arguments: str) -> str:
    try:
        globals()[name](*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "ok"


if __name__ == "__main__":
    for line in Path(sys.argv[1]).read_text().splitlines():
        print(line, "=>", attempt(*line.split()), flush=True)
