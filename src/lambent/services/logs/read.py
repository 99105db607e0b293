"""Reading events in order: chunks from the store merged with the events that are not stored yet.

`merge` is pure; `read_page` runs on a reader's thread.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

from sqlalchemy import Connection

from lambent.services.logs.events import LogEvent
from lambent.services.logs.store.scan import Run, Selection, Window, scan

PAGE_BYTES = 1 << 20
PAGE_EVENTS = 10_000
SCAN_BYTES = 16 << 20
"""Text that one page looks through before it answers with what it has and a token."""


_Open = tuple[int, int, int, LogEvent, Iterator[LogEvent]]
"""A run being merged: the key of its next event, a number that breaks ties, that event, the rest."""


@dataclass(frozen=True, slots=True)
class Page:
    events: list[LogEvent]
    """In the order of reading."""
    stopped_at: int | None
    """Position of the last event looked at, when there may be more behind it."""


def merge(runs: Iterable[Run], pending: Sequence[LogEvent], *, forward: bool) -> Iterator[LogEvent]:
    """Events of `runs` and `pending` in order, each once.

    `runs` come in the order of their edges, so an event before the next edge cannot be overtaken any more. An event
    that was stored while the reader looked may be in both places.
    """
    sign = 1 if forward else -1
    numbers = itertools.count()
    heap: list[_Open] = []
    last: LogEvent | None = None
    for edge, events in itertools.chain([(None, pending)], runs, [(None, ())]):
        # The edge is a timestamp: whatever lies strictly on this side of it is final. Behind the last run, all is.
        while heap and (edge is None or heap[0][0] < sign * edge):
            _, _, number, event, rest = heap[0]
            if (following := next(rest, None)) is None:
                heappop(heap)
            else:
                heapreplace(heap, (sign * following[0], sign * following[1], number, following, rest))
            if last is None or event[:2] != last[:2]:
                yield event
            last = event
        opened = iter(sorted(events, reverse=not forward))
        if (first := next(opened, None)) is not None:
            heappush(heap, (sign * first[0], sign * first[1], next(numbers), first, opened))


def read_page(
    connection: Connection,
    selection: Selection,
    window: Window,
    pending: Sequence[LogEvent],
    matches: Callable[[str], bool],
    limit: int,
) -> Page:
    """One page of events inside `window`."""
    runs = scan(connection, selection, window)
    waiting = [event for event in pending if event.position in window]
    found: list[LogEvent] = []
    size = scanned = 0
    at: int | None = None
    for event in merge(runs, waiting, forward=window.forward):
        if event.position not in window:
            continue
        weight = len(event.message) + 26
        hit = matches(event.message)
        full = len(found) == limit or (found and size + weight > PAGE_BYTES)
        # An event behind a full page proves that there is more; only then a token promises it.
        if full or scanned > SCAN_BYTES:
            return Page(found, at)
        scanned += weight
        at = event.position
        if hit:
            found.append(event)
            size += weight
    return Page(found, None)
