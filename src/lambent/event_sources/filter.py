"""Which records the filters of a mapping let through. Pure; a poller asks before it makes a batch.

A filter sees a record with its data decoded. Data that is JSON is matched by an object in the pattern and by nothing
else; text that is not JSON by a list of values, for the sources whose data may be plain text. What is not let through
is deleted from a queue and passed over in a stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lambent.aws.event_pattern import Pattern, document, parse
from lambent.event_sources.sources import Kind

DATA_KEY: Final[Mapping[Kind, str]] = {
    Kind.SQS: "body",
    Kind.KINESIS: "data",
    Kind.DYNAMODB: "dynamodb",
    Kind.KAFKA: "value",
    Kind.MQ: "data",
    Kind.DOCUMENTDB: "event",
}
PLAIN_TEXT: Final = frozenset({Kind.SQS, Kind.KAFKA, Kind.MQ})
"""Sources whose data is matched also when it is not JSON."""

_UNREADABLE: Final = object()


@dataclass(frozen=True, slots=True)
class Filters:
    """One matching filter is enough; without filters, everything passes."""

    kind: Kind
    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, kind: Kind, texts: Sequence[str]) -> "Filters":
        """`texts` as a mapping keeps them: they were parsed before."""
        return cls(kind, tuple(map(parse, texts)))

    def keep(self, metadata: Mapping[str, Any], data: bytes) -> bool:
        """`metadata`: the rest of the record, as `event_pattern.document` makes it; `data`: after base64."""
        if not self.patterns:
            return True
        key = DATA_KEY[self.kind]
        record = {**metadata, key: self._readable(data)}
        return any(_matches(pattern, record, key) for pattern in self.patterns)

    def _readable(self, data: bytes) -> Any:
        try:
            found = document(data)
        except ValueError:
            found = None
        if isinstance(found, dict | list):
            return found
        if self.kind not in PLAIN_TEXT:
            return _UNREADABLE
        return data.decode(errors="replace")


def _matches(pattern: Pattern, record: Mapping[str, Any], key: str) -> bool:
    """Whether the pattern fits the form of the data, and then the record; each choice of `$or` by itself."""
    part, data = pattern.fields.get(key), record[key]
    if part is not None and (data is _UNREADABLE or isinstance(part, Pattern) is isinstance(data, str)):
        return False
    rest = {name: value for name, value in record.items() if value is not _UNREADABLE}
    return Pattern(pattern.fields).matches(rest) and all(
        any(_matches(choice, record, key) for choice in choices) for choices in pattern.choices
    )
