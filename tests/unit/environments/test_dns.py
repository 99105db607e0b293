"""Name servers of the host, and the answer where there is none."""

import asyncio
from pathlib import Path

from lambent.environments.networks.dns import NameServers, _Places, failed, parse


def test_name_servers_are_read_from_resolv_conf() -> None:
    assert parse("# x\nsearch a\nnameserver 10.0.0.1\nnameserver ::1\nnameserver\n") == ("10.0.0.1", "::1")
    assert parse("options x\n") == ("127.0.0.1",)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    servers = NameServers(path)
    assert servers() == ()
    path.write_text("nameserver 10.0.0.1\n")
    assert servers() == ("10.0.0.1",)
    (tmp_path / "new").write_text("nameserver 10.0.0.22\n")
    (tmp_path / "new").rename(path)
    assert servers() == ("10.0.0.22",)


def test_a_question_that_nobody_answers_is_a_failure_of_the_server() -> None:
    question = b"\x12\x34\x01\x00\x00\x01" + bytes(20)
    answer = failed(question)
    assert answer[:2] == question[:2]
    assert answer[2:4] == b"\x81\x82"
    assert answer[4:] == question[4:]


async def test_who_has_most_questions_gives_way_to_who_has_fewer() -> None:
    places = _Places(4)

    def ask(client: str) -> "asyncio.Task[None] | None":
        if not places.has_room(client):
            return None
        task = asyncio.ensure_future(asyncio.sleep(60))
        places.take(client, task)
        return task

    first, *_ = [ask("greedy") for _ in range(4)]
    assert ask("greedy") is None
    assert ask("other") is not None
    assert first is not None
    await asyncio.wait([first], timeout=5)
    assert first.cancelled()
    assert ask("other") is not None
    assert ask("other") is None  # It has as many now as anybody.
    assert sorted(places.tasks.values()) == ["greedy", "greedy", "other", "other"]
    for task in places.tasks:
        task.cancel()
