import os
import resource
import socket

import pytest

from lambent.launcher import wire


def test_message_arrives_with_its_descriptors_by_name() -> None:
    ours, theirs = wire.pair()
    read_end, write_end = os.pipe()
    with ours, theirs:
        wire.send(ours, {"event": "ready"}, {"output": read_end})
        received = wire.receive(theirs)
        assert received is not None
        message, fds = received
        assert message["event"] == "ready"
        os.write(write_end, b"x")
        assert os.read(fds["output"], 1) == b"x"
        assert not os.get_inheritable(fds["output"])
        for fd in (read_end, write_end, fds["output"]):
            os.close(fd)


def test_end_of_the_other_side_is_none() -> None:
    ours, theirs = wire.pair()
    theirs.close()
    with ours:
        assert wire.receive(ours) is None


def test_message_that_is_too_long_is_refused_before_it_is_sent() -> None:
    ours, theirs = wire.pair()
    with ours, theirs, pytest.raises(ValueError, match="over the limit"):
        wire.send(ours, {"variables": "x" * wire.MAX_BYTES})


def test_lost_descriptors_are_told_and_none_leaks() -> None:
    ours, theirs = wire.pair()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    read_end, write_end = os.pipe()
    with ours, theirs:
        wire.send(ours, {"event": "ready"}, {"a": read_end, "b": write_end, "c": read_end})
        next_fd = os.dup(0)
        os.close(next_fd)
        before = len(os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (next_fd + 1, hard))
        try:
            with pytest.raises(wire.DescriptorsLost):
                wire.receive(theirs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert len(os.listdir("/proc/self/fd")) == before
    os.close(read_end)
    os.close(write_end)


def test_one_name_for_two_descriptors_is_no_message_and_none_leaks() -> None:
    ours, theirs = wire.pair()
    with ours, theirs:
        before = len(os.listdir("/proc/self/fd"))
        socket.send_fds(ours, [b'{"fds": ["a", "a"]}'], [0, 0])
        with pytest.raises(ValueError, match="no message"):
            wire.receive(theirs)
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_sender_is_who_the_kernel_says() -> None:
    ours, theirs = wire.pair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        wire.send(ours, {"event": "cloning"}, {"tmp": 0})
        received = wire.receive_from(theirs)
        assert received is not None
        message, fds, sender = received
        assert (message["event"], list(fds), sender) == ("cloning", ["tmp"], os.getpid())
        os.close(fds["tmp"])
