"""kill -9 while queues are sent to, received from and deleted from; `tests/soak` does the same many times."""

from pathlib import Path

from tests.places import Place
from tests.unit.services.sqs.crashes import nothing_is_lost


async def test_no_message_is_lost_and_groups_keep_their_order(tmp_path: Path) -> None:
    ledger = await nothing_is_lost(Place(tmp_path / "lambent.db"), rounds=3, lines=600)
    assert len(ledger.sent) > 300
    assert ledger.deleted
