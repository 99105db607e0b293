"""What hostile code tries in a template, which has one capability, and as a clone that lies to its finisher."""

import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent.environments.sandbox.ports import SandboxError
from lambent.launcher import wire
from tests.e2e.escapes.suite import ATTEMPTS
from tests.e2e.escapes.table import CASES
from tests.e2e.sandbox_kit import drain, printed
from tests.e2e.snapshot_kit import Studio, studio

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET, PARENT = 0x10000000, 0x20000000, 0x40000000, 0x00008000
OF_TEMPLATES = NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS | PARENT

EXPECTED = {
    # What needs nothing of the host, with the errno of the table: the same guarantees hold with the capability.
    **{case.attempt: case.expected.split("|") for case in CASES if "{" not in case.attempt},
    f"clone3 {OF_TEMPLATES:x}": ["ENOSYS"],
    f"clone {OF_TEMPLATES & ~PARENT:x}": ["EPERM", "ENOSYS"],
    f"clone {OF_TEMPLATES | NEWUSER:x}": ["EPERM", "ENOSYS"],
    f"clone {OF_TEMPLATES | NEWCGROUP:x}": ["EPERM", "ENOSYS"],
    f"clone {OF_TEMPLATES & ~NEWNET:x}": ["EPERM", "ENOSYS"],
}
TRY = """
def attempts():
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-I", "-S", "/var/task/attempts/run.py", "/var/task/cases"])
    os.waitpid(child, 0)
    while others := [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]:
        for pid in others:  # What an attempt has left.
            try:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
"""


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Studio]:
    async with studio(tmp_path) as each:
        yield each


def surprises(text: str) -> dict[str, str]:
    """What ended otherwise than it should. Other flags of clone are unknown to a template, not refused."""
    results = dict(line.split(" => ") for line in text.splitlines() if " => " in line)
    assert results.keys() >= EXPECTED.keys()
    return {
        attempt: results[attempt]
        for attempt, expected in EXPECTED.items()
        if results[attempt] not in expected and not (attempt.startswith("clone ") and results[attempt] == "ENOSYS")
    }


async def test_the_capability_of_a_template_opens_nothing_but_its_clones(made: Studio) -> None:
    allowed = f"clone {OF_TEMPLATES:x}"
    source = f"{TRY}\nattempts()\nregister_after_restore(attempts)"
    code = made.spec(source).code_dir
    shutil.copytree(ATTEMPTS, code / "attempts", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("main.py", "id"):
        (code / name).write_text("")
    (code / "cases").write_text("\n".join((*EXPECTED, allowed)))
    template, obstacle = await made.template(source)
    assert obstacle is None
    inside = drain(template)
    # It may pass the one capability on to its own programs.
    assert surprises(inside) == {"gain_capability": "ok"}
    assert f"{allowed} => ECHILD" in inside  # It is not the template's own child.
    clone, said = await made.clone(template, source)
    # It is process 1 itself, and its group has a number, because it was made in another.
    found = surprises(said)
    assert found.pop("name_of_group /proc/self/cgroup") == "ok"
    assert {attempt for attempt in found if "1" not in attempt.replace("/", " ").split()} == set()
    assert f"{allowed} => EPERM" in said
    await clone.stop()
    await template.stop()


LIES = {
    "kept a capability": "template._give_up = lambda *_: None",
    "in the session of its template": "os.setsid = lambda: None",
    "more than one thread": """
        import threading
        def joined(*arguments):
            honest(*arguments)
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        honest, template._give_up = template._give_up, joined
        """,
    "started another process": """
        import time
        def become(*arguments):
            if os.fork() == 0:
                time.sleep(60)
            honest(*arguments)
        honest, template._become = template._become, become
        """,
    "not in its cgroup": """
        real = os.write
        os.write = lambda fd, data: None if data == b"0" else real(fd, data)
        """,
    "not a child of the template": """
        import array
        def become(python, identity, descriptors):
            child = os.fork()
            if child:
                identity.close()
                os.waitpid(child, 0)
                os._exit(0)
            honest(python, identity, descriptors)
        honest, template._become = template._become, become
        """,
    "holds what is not its own": """
        memory = os.open("/proc/self/mem", os.O_RDWR)
        template._Descriptors._add = lambda *_: None
        """,
    "its own: descriptor [0-9]*, mode 1006": """
        memory = os.open("/proc/self/mem", os.O_RDONLY)
        template._Descriptors._add = lambda *_: None
        """,
    "its own: descriptor [0-9]*, mode 1407": """
        import socket
        ours, theirs = socket.socketpair()
        template._Descriptors._add = lambda *_: None
        """,
    "its cwd is of the template": """
        os.chdir("/tmp")
        template.os.chdir = lambda folder: None
        """,
    "shares memory": """
        import mmap
        shared = mmap.mmap(-1, 4096)
        template._obstacle = lambda: None
        """,
    "did not clone itself": "template._clone = lambda python: 1",
}


@pytest.mark.parametrize("refusal", LIES)
async def test_a_clone_that_lies_is_refused_and_its_template_serves_no_one(made: Studio, refusal: str) -> None:
    source = "from lambent_runtime import template\n" + "\n".join(
        line.removeprefix(" " * 8) for line in LIES[refusal].strip("\n").splitlines()
    )
    template, obstacle = await made.template(source)
    assert obstacle is None
    with pytest.raises(SandboxError, match=refusal):
        await made.driver.restore(template, made.spec(source))
    await template.stop()


async def test_a_clone_cannot_pass_for_another_process(made: Studio) -> None:
    """It names, as the sender, a process of its own instead of itself."""
    source = """
    from lambent_runtime import template
    import socket, struct, time
    def become(python, identity, descriptors):
        child = os.fork()
        if child == 0:
            time.sleep(60)
        said = socket.socket(fileno=os.dup(identity.fileno()))
        held = struct.pack("=3i", child, os.getuid(), os.getgid())
        said.sendmsg([b"born"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, held)])
        time.sleep(60)
    template._become = become
    """
    template, _ = await made.template(source)
    with pytest.raises(SandboxError, match=r"not a child of the template|not the first of a namespace"):
        await made.driver.restore(template, made.spec(source))
    await template.stop()


async def test_a_clone_cannot_be_two_sandboxes(made: Studio) -> None:
    """The template asks the same clone to answer for the next restore as well."""
    source = """
    from lambent_runtime import template
    import socket, threading
    ours, theirs = socket.socketpair()
    honest = template._clone
    clones = []
    def clone(python):
        if clones:
            return 1
        clones.append(honest(python))
        return clones[0]
    template._clone = clone
    received = []
    def receive(source, receive=template._receive):
        data, fds = receive(source)
        if data == b"clone" and clones:
            socket.send_fds(ours, [b"twice"], fds)
        return data, fds
    template._receive = receive
    def become(python, identity, descriptors):
        _, fds, _, _ = socket.recv_fds(theirs, 10, 1)
        template._join(python, socket.socket(fileno=fds[0]), descriptors)
    def first(python, identity, descriptors, honest=template._become):
        if os.fork() == 0:
            become(python, identity, descriptors)
        honest(python, identity, descriptors)
    template._become = first
    template._Descriptors._add = lambda *_: None
    """
    template, _ = await made.template(source)
    for _ in range(2):
        with pytest.raises(SandboxError):
            await made.driver.restore(template, made.spec(source))
    await template.stop()


SHARED = {
    "a descriptor for reading of memory that has no name": """
        import ctypes, mmap
        made = os.memfd_create("shared")
        os.write(made, b"of the template")
        kept = os.open(f"/proc/self/fd/{made}", os.O_RDONLY)
        os.close(made)
        """,
    "a mapping for reading that may be made one for writing": """
        import mmap
        made = os.memfd_create("shared")
        os.truncate(made, 4096)
        kept = mmap.mmap(made, 4096, prot=mmap.PROT_READ)
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:shared"):
                    os.close(int(name))
            except OSError:
                pass
        """,
    "a mapping of its own of memory that others write": """
        import mmap
        made = os.memfd_create("shared")
        os.truncate(made, 4096)
        kept = mmap.mmap(made, 4096, flags=mmap.MAP_PRIVATE)
        os.close(made)
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:shared"):
                    os.close(int(name))
            except OSError:
                pass
        """,
}


@pytest.mark.parametrize("way", SHARED)
async def test_memory_that_has_no_name_is_not_shared_by_clones(made: Studio, way: str) -> None:
    source = "\n".join(line.removeprefix(" " * 8) for line in SHARED[way].strip("\n").splitlines())
    template, _ = await made.template(source)
    with pytest.raises(SandboxError, match=r"shares memory|what is not its own"):
        await made.driver.restore(template, made.spec(source))
    await template.stop()


async def test_what_a_template_hides_in_the_groups_of_a_clone_ends_with_the_clone(made: Studio) -> None:
    """The clone is given descriptors by which it joins its groups; a helper of the template reads them too."""
    source = """
    from lambent_runtime import template
    import socket, time
    template._obstacle = lambda: None
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        _, fds, _, _ = socket.recv_fds(theirs, 10, 1)
        identity = socket.socket(fileno=fds[0])
        while True:
            try:
                flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
                _, [(_, _, held)], _, _ = identity.recvmsg(200_000, socket.CMSG_SPACE(64), flags)
                break
            except BlockingIOError:
                pass
        for tasks in memoryview(held).cast("i")[2:]:
            os.write(tasks, b"0")
        while True:
            time.sleep(60)
    theirs.close()
    def receive(source, honest=template._receive):
        if os.getpid() == 1 and ours.fileno() >= 0:
            ours.close()
            time.sleep(0.3)
        data, fds = honest(source)
        if data == b"clone":
            socket.send_fds(ours, [b"this"], fds)
        return data, fds
    template._receive = receive
    template._Descriptors._add = lambda *_: None
    """
    template, _ = await made.template(source)
    clone, _ = await made.clone(template, source)
    await clone.stop()
    left = made.groups(clone.number)
    await template.stop()
    assert left == []


async def test_a_supervisor_that_was_taken_over_cannot_have_its_own_disk_mounted(made: Studio, tmp_path: Path) -> None:
    template, _ = await made.template("")
    control, link = made.driver._launcher.restore(template=template.number, memory_mb=256, tmp_mb=64, processes=256)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    with control, link, disk.open("rb") as file:
        for each in (control, link):
            each.settimeout(10)
        assert wire.receive(link) is not None
        wire.send(link, {"event": "cloning"}, {"tmp": file.fileno()})
        failed = wire.receive(control)
    assert failed is not None
    assert failed[0]["reason"] == "the first process of the template has not answered"
    await template.stop()


async def test_a_supervisor_that_was_taken_over_gets_no_disk_that_it_can_write(made: Studio) -> None:
    template, _ = await made.template("")
    ours, theirs = wire.pair()
    ours.settimeout(10)
    with ours:
        template.hand_over(theirs)
        received = wire.receive(ours)
        assert received is not None
        for fd in received[1].values():
            assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
            os.close(fd)
    await template.stop()


async def test_a_template_is_heard_once(made: Studio) -> None:
    """What it says is read outside of its limits."""
    source = """
    from lambent_runtime import template
    import socket, time
    said = []
    def receive(source, honest=template._receive):
        if os.getpid() != 1 and not said:
            source.setblocking(False)
            end = time.monotonic() + 1
            while time.monotonic() < end and len(said) < 2000:
                try:
                    source.send(b"ready")
                    said.append(True)
                except BlockingIOError:
                    os.sched_yield()
            source.setblocking(True)
            print("said", len(said), "times", flush=True)
        return honest(source)
    template._receive = receive
    """
    template, obstacle = await made.template(source)
    assert obstacle is None
    text = await printed(template, "times")
    await template.stop()
    assert int(text.split()[1]) < 2000
