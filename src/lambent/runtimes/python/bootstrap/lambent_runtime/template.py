"""A process that is kept after Init, to be cloned for each restore.

Its only privilege is to make a clone of itself in new, empty namespaces. The clone gives that privilege up and waits
until the platform has put a sandbox around it; then it goes on as if nothing had happened. Threads, other processes,
shared memory and most open descriptors cannot be cloned: then the platform is told what is in the way.
"""

import ctypes
import gc
import os
import stat
import sys
import time
from _socket import CMSG_SPACE, SCM_RIGHTS, SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, socket

from lambent_runtime import current

# NEWNS, NEWPID, NEWNET, NEWIPC, NEWUTS, PARENT and SIGCHLD: the filter of system calls allows no others.
_CLONE_FLAGS = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x00008000 | 17
_CLONE_NUMBERS = {"x86_64": 56, "aarch64": 220}
_CAPSET_NUMBERS = {"x86_64": 126, "aarch64": 91}
_PR_SET_SECCOMP, _PR_CAP_AMBIENT = 22, 47
_FILTER, _AMBIENT_CLEAR_ALL = 2, 4
_CAPABILITY_VERSION_3 = 0x20080522
_READY, _CANNOT, _CLONE, _BORN, _JOIN, _JOINED, _GO = (
    b"ready", b"cannot ", b"clone", b"born", b"join", b"joined", b"go",
)  # fmt: skip
_MESSAGE_BYTES = 200_000
_MOST_DESCRIPTORS = 16
_AF_INET = (2, 10)


class _Descriptors:
    """What is open beside the standard streams and our own."""

    def __init__(self, ours):
        self.files = []
        self.streams = []
        self.datagrams = []
        self.obstacle = None
        for name in os.listdir("/proc/self/fd"):
            fd = int(name)
            if fd not in ours:
                try:
                    self._add(fd, os.fstat(fd).st_mode)
                except OSError:
                    continue  # That of the folder which was just listed.

    def _add(self, fd, mode):
        import fcntl

        if stat.S_ISCHR(mode):
            return
        if stat.S_ISREG(mode) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            self.files.append(fd)
            return
        peer = _peer(fd) if stat.S_ISSOCK(mode) else None
        if peer is None:
            self.obstacle = "descriptor %d is open (%s)" % (fd, os.readlink("/proc/self/fd/%d" % fd))
        elif peer[1] == SOCK_STREAM:
            self.streams.append(fd)
        else:
            self.datagrams.append((fd, *peer))


def _peer(fd):
    """(family, kind, address) of an internet socket that can be replaced in a clone."""
    held = socket(fileno=fd)
    try:
        kind = held.getsockopt(SOL_SOCKET, SO_TYPE)
        if held.family not in _AF_INET or kind not in (SOCK_STREAM, SOCK_DGRAM):
            return None
        try:
            return held.family, kind, held.getpeername()
        except OSError:
            # Nobody is at the other end: it may be listening.
            return (held.family, kind, None) if kind == SOCK_DGRAM else None
    finally:
        held.detach()


def wait(fd):
    """Returns in each clone, when it is a sandbox of its own. The process that was cloned never comes back."""
    ours = {0, 1, 2, fd, current.log_fd}
    descriptors = _Descriptors(ours)
    obstacle = _obstacle() or descriptors.obstacle
    link = socket(fileno=fd)
    if obstacle:
        link.send(_CANNOT + obstacle.encode())
    else:
        gc.freeze()  # A collection in a clone would write to every page that it shares.
        python = ctypes.PyDLL(None, use_errno=True)
        # Looked up here, it is not looked up in each clone.
        python.PyOS_AfterFork_Child  # noqa: B018
        link.send(_READY)
    while True:
        data, received = _receive(link)
        if not data:
            os._exit(0)
        if data == _CLONE and received and not obstacle:
            pid = _clone(python)
            if pid == 0:
                link.close()
                _become(python, socket(fileno=received[0]), descriptors)
                return
        for each in received:
            os.close(each)


def _obstacle():
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        return "the function has %d threads" % threads
    others = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    if others:
        return "the function has started other processes"
    with open("/proc/self/maps") as maps:
        for line in maps:
            permissions = line.split(None, 2)[1]
            if permissions[1] == "w" and permissions[3] == "s":
                return "the function has shared memory (%s)" % line.split()[-1]
    return None


def _clone(python):
    system = os.uname().machine
    python.syscall.restype = ctypes.c_long
    python.PyOS_BeforeFork()
    zero = ctypes.c_long(0)
    pid = python.syscall(ctypes.c_long(_CLONE_NUMBERS[system]), ctypes.c_long(_CLONE_FLAGS), zero, zero, zero, zero)
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return pid


def _become(python, identity, descriptors):
    """From a clone to a runtime of its own. What fails ends it: half of a sandbox is nobody's."""
    try:
        _join(python, identity, descriptors)
    except BaseException as error:
        identity.send(("%s: %s" % (type(error).__name__, error)).encode()[:500])
        os._exit(1)


def _join(python, identity, descriptors):
    os.setsid()  # A signal to its process group is not for its template and others.
    folder = os.getcwd()
    os.chdir("/")  # It may be below /tmp, which is the template's.
    identity.send(_BORN)
    data, received = _receive(identity)
    if not data.startswith(_JOIN):
        os._exit(1)
    output, dead = received[:2]
    for tasks in received[2:]:
        os.write(tasks, b"0")
        os.close(tasks)
    for fd in {1, 2, current.log_fd} - {None}:
        os.dup2(output, fd, inheritable=fd < 3)
    for fd in descriptors.streams:
        os.dup2(dead, fd, inheritable=False)
    for fd, *_ in descriptors.datagrams:
        os.dup2(dead, fd, inheritable=False)
    os.close(output)
    os.close(dead)
    _give_up(python, data[len(_JOIN) :])
    identity.send(_JOINED)

    data, _ = _receive(identity)
    if not data.startswith(_GO):
        os._exit(0)
    identity.close()
    os.chdir(folder)
    for fd in descriptors.files:
        _reopen(fd)
    for fd, family, kind, address in descriptors.datagrams:
        _connect_anew(fd, family, kind, address)
    _change_variables(data[len(_GO) :])
    _refresh_randomness()


def _give_up(python, program):
    """The capability that the template has, and with a filter on top of its filter the system call it is for."""
    python.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
    _checked(python.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _checked(python.syscall(ctypes.c_long(_CAPSET_NUMBERS[os.uname().machine]), header, none), "capset")
    text = ctypes.create_string_buffer(program, len(program))
    filter_of = (ctypes.c_uint64 * 2)(len(program) // 8, ctypes.addressof(text))
    _checked(python.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.addressof(filter_of), 0, 0), "seccomp")


def _checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _receive(source):
    data, ancillary, _, _ = source.recvmsg(_MESSAGE_BYTES, CMSG_SPACE(_MOST_DESCRIPTORS * 4))
    fds = []
    for level, kind, held in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            fds.extend(memoryview(held[: len(held) // 4 * 4]).cast("i"))
    return data, fds


def _reopen(fd):
    """The position in a file would be shared with every other clone."""
    position = os.lseek(fd, 0, os.SEEK_CUR)
    fresh = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
    os.lseek(fresh, position, os.SEEK_SET)
    os.dup2(fresh, fd, inheritable=os.get_inheritable(fd))
    os.close(fresh)


def _connect_anew(fd, family, kind, address):
    fresh = socket(family, kind)
    if address is not None:
        try:
            fresh.connect(address)
        except OSError:
            pass
    os.dup2(fresh.fileno(), fd, inheritable=False)
    fresh.close()


def _change_variables(text):
    for assignment in text.decode("utf-8", "surrogateescape").split("\0"):
        name, equals, value = assignment.partition("=")
        if equals and os.environ.get(name) != value:
            os.environ[name] = value
            if name == "TZ":
                time.tzset()


def _refresh_randomness():
    """That of the library renews itself after a fork."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
