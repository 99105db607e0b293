"""kill -9 while queues are used, again and again on the same files; and how often a message came twice."""

from tests.places import Place
from tests.unit.services.sqs.crashes import nothing_is_lost


async def test_twenty_crashes_lose_none_of_many_thousand_messages(place: Place) -> None:
    ledger = await nothing_is_lost(place, rounds=20, lines=2000)
    again = sum(times - 1 for text, times in ledger.received.items() if not text.endswith("7"))
    print(f"{len(ledger.sent)} sent, {len(ledger.deleted)} deleted, {again} received again")
    assert len(ledger.sent) > 5000
