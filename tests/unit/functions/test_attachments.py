"""Attachments: one of each kind and qualifier, on disk and in the read model, gone with their function."""

from sqlalchemy import Connection

from lambent.functions import store
from lambent.functions.changes import Change
from lambent.functions.control_plane import ControlPlane
from lambent.functions.records import Alias, Attachment, FunctionKey, ReservedConcurrency
from tests.unit.functions.conftest import Api

KEY = FunctionKey("000000000000", "us-east-1", "f")
LIVE = Alias(name="live", version="1", revision_id="r", weights={"2": 0.25})


async def put(plane: ControlPlane, qualifier: str, record: Attachment) -> None:
    def commit(connection: Connection) -> Change:
        store.put_attachment(connection, KEY, qualifier, record)
        return Change(key=KEY, attached={(type(record), qualifier): record})

    await plane._changes.commit(commit)


async def test_an_attachment_is_kept_replaced_and_gone_with_its_function(plane: ControlPlane, api: Api) -> None:
    await api.create()
    await put(plane, "live", LIVE)
    await put(plane, "", ReservedConcurrency(5))
    await put(plane, "", ReservedConcurrency(7))

    function = plane.read_model.get(KEY)
    assert function is not None
    assert function.attached(Alias, "live") == LIVE
    assert function.attached(Alias, "test") is None
    assert function.attached(ReservedConcurrency) == ReservedConcurrency(7)
    assert function.all_attached(Alias) == {"live": LIVE}
    stored = plane._database.read_now(store.load_all)[0]
    assert stored.attachments == function.attachments

    await api("DeleteFunction", FunctionName="f")
    assert plane._database.read_now(lambda connection: store.load_attachments(connection, KEY)) == {}
