"""What a crash or another server left behind is taken up at the start, by the same loop."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sqlalchemy import text

from lambent.event_sources import store
from lambent.event_sources.records import State
from lambent.event_sources.sources import Kind
from lambent.testing.scripted_poller import ScriptedPollers
from tests.unit.event_sources import kit as kit_module
from tests.unit.event_sources.kit import STREAM, kit


def killed(root: Path) -> Mapping[str, str]:
    """Run `kit.stuck` until every transition has begun, then kill -9 it; UUIDs by name."""
    command = [sys.executable, "-m", kit_module.__name__, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline().split() for _ in range(4)]
        child.kill()
    states = {name: state for name, _, state in lines}
    assert states == {"c": "Creating", "u": "Updating", "d": "Disabling", "x": "Deleting"}
    return {name: uuid for name, uuid, _ in lines}


def files_with(text: str, root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


async def test_transitions_end_after_a_kill(tmp_path: Path) -> None:
    uuids = killed(tmp_path)
    pollers = ScriptedPollers()
    async with kit(tmp_path, pollers) as after:
        states = {name: await after.at_rest(uuid) for name, uuid in uuids.items()}
        assert states == {"c": "Enabled", "u": "Enabled", "d": "Disabled", "x": None}
        assert pollers.running.keys() == {uuids["c"], uuids["u"]}
        assert pollers.running[uuids["u"]].settings.batch_size == 7


async def test_transitions_end_after_a_kill_also_where_nobody_can_poll(tmp_path: Path) -> None:
    uuids = killed(tmp_path)
    async with kit(tmp_path, ScriptedPollers(kinds=())) as after:
        states = {name: await after.at_rest(uuid) for name, uuid in uuids.items()}
        assert states == {"c": "Disabled", "u": "Disabled", "d": "Disabled", "x": None}


async def test_the_first_server_with_a_poller_enables_what_was_wished(tmp_path: Path) -> None:
    async with kit(tmp_path, ScriptedPollers(kinds=())) as without:
        wished, off = await without.created(), await without.created(EventSourceArn=f"{STREAM}-off", Enabled=False)
        assert await without.at_rest(wished) == "Disabled"
    pollers = ScriptedPollers(kinds=(Kind.KINESIS,))
    async with kit(tmp_path, pollers) as later:
        await later.reaches(wished, "Enabled")
        assert wished in pollers.running
        assert (await later("Get", UUID=wished))["StateTransitionReason"] == "User action"
        assert later.state(off) == "Disabled"
    assert pollers.running == {}


async def test_a_server_that_lost_its_poller_says_so(tmp_path: Path) -> None:
    async with kit(tmp_path, ScriptedPollers()) as before:
        uuid = await before.created()
        assert await before.at_rest(uuid) == "Enabled"
    async with kit(tmp_path, ScriptedPollers(kinds=())) as after:
        await after.reaches(uuid, "Disabled")
        reason = (await after("Get", UUID=uuid))["StateTransitionReason"]
        assert reason.startswith("This server has no poller for Kinesis streams")
        stored = {mapping.uuid: mapping.enabled for mapping in after.mappings.read_model}
        assert stored == {uuid: True}


async def test_what_was_enabled_polls_again_after_a_start(tmp_path: Path) -> None:
    async with kit(tmp_path, ScriptedPollers()) as before:
        uuid = await before.created()
        await before.at_rest(uuid)
    pollers = ScriptedPollers()
    async with kit(tmp_path, pollers) as after:
        await after.until(lambda: uuid in pollers.running)
        assert after.state(uuid) == "Enabled"


async def test_filters_with_a_key_are_not_in_the_files(tmp_path: Path) -> None:
    secret = "very-secret-value"
    async with kit(tmp_path, ScriptedPollers(kinds=())) as before:
        criteria = {"Filters": [{"Pattern": f'{{"data":{{"a":["{secret}"]}}}}'}]}
        key = "arn:aws:kms:us-east-1:123456789012:key/k"
        uuid = await before.created(FilterCriteria=criteria, KMSKeyArn=key)
        await before.at_rest(uuid)
        rows = await before.database.read(lambda c: c.execute(text("SELECT * FROM event_source_mappings")).all())
        assert secret not in repr(rows)
    assert files_with(secret, tmp_path) == []
    async with kit(tmp_path, ScriptedPollers(kinds=())) as after:
        assert (await after("Get", UUID=uuid))["FilterCriteria"] == criteria


async def test_an_update_during_the_start_leaves_one_poller(tmp_path: Path) -> None:
    async with kit(tmp_path, ScriptedPollers()) as before:
        uuid = await before.created()
        await before.at_rest(uuid)
    pollers = ScriptedPollers()
    pollers.hold()
    async with kit(tmp_path, pollers) as after:
        await after("Update", UUID=uuid, BatchSize=7)
        pollers.release()
        assert await after.at_rest(uuid) == "Enabled"
        assert pollers.running[uuid].settings.batch_size == 7
        assert pollers.events == ["start", "stop", "start"]


async def test_a_server_on_its_way_to_disabled_does_not_hold_up_one_that_can_poll(tmp_path: Path) -> None:
    async with kit(tmp_path, ScriptedPollers()) as before:
        uuid = await before.created()
        await before.at_rest(uuid)
        # As a server without pollers leaves it when it is killed at the right moment.
        (mapping,) = before.mappings.read_model
        row = replace(mapping, state=State.DISABLING)
        await before.database.write(lambda connection: store.put(connection, row))
    pollers = ScriptedPollers()
    async with kit(tmp_path, pollers) as after:
        await after.reaches(uuid, "Enabled")
        assert uuid in pollers.running
