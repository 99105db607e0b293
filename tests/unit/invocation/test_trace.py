"""The trace header: passed on, or made."""

import re

import pytest

from lambent.invocation.trace import MAX_FUNCTIONS, accepted, invocations, outgoing, passed_on, without_lineage

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
FORM = re.compile(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01];Lineage=1:[0-9a-f]{8}:\d+")


@pytest.mark.parametrize(
    "received",
    [None, "", "nonsense", "Root", "Root=;Sampled=7", "Sampled=1", "Root=1-5759e988-bd862e3fe1be46a994272793\r\nX: y"],
)
def test_what_cannot_be_used_is_made_new(received: str | None) -> None:
    assert FORM.fullmatch(outgoing(received, epoch_ms=1_700_000_000_000, function_arn=ARN))


def test_root_sampling_and_earlier_hops_are_the_callers_and_parent_is_ours() -> None:
    received = (
        "Self=1-1-1;Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:0000aa00:3"
    )
    made = outgoing(received, epoch_ms=0, function_arn=ARN)
    assert made.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=")
    assert ";Sampled=1;Lineage=1:0000aa00:3|" in made
    assert "53995c3f42cd8ad8" not in made


def test_a_new_root_has_the_time() -> None:
    made = outgoing(None, epoch_ms=0x6B00D140 * 1000 + 999, function_arn=ARN)
    assert made.startswith("Root=1-6b00d140-")
    assert made.partition(";")[0] != outgoing(None, epoch_ms=0, function_arn=ARN).partition(";")[0]


def test_a_header_that_is_passed_on_counts_the_invocations_of_each_function() -> None:
    header: str | None = None
    for before in range(4):
        assert invocations(header, ARN) == before
        header = outgoing(header, epoch_ms=0, function_arn=ARN)
        header = outgoing(header, epoch_ms=0, function_arn=f"{ARN}-other")
    assert invocations(header, f"{ARN}-third") == 0


def test_an_event_and_the_records_of_its_end_carry_the_chain_on() -> None:
    event = accepted(outgoing(None, epoch_ms=0, function_arn=ARN), epoch_ms=0)
    assert invocations(event, ARN) == 1
    # Attempts are not hops: each begins with the event's own header.
    outgoing(event, epoch_ms=0, function_arn=ARN)
    assert invocations(passed_on(event, ARN), ARN) == 2
    assert invocations(without_lineage(passed_on(event, ARN)), ARN) == 0


@pytest.mark.parametrize("lineage", ["a87bd80c:1|68fd508a:5|c512fbe3:2", "25:a87bd80c:1|68fd508a:5|c512fbe3:2"])
def test_older_forms_are_read(lineage: str) -> None:
    made = outgoing(f"Root=1-5759e988-bd862e3fe1be46a994272793;Lineage={lineage}", epoch_ms=0, function_arn=ARN)
    assert ";Lineage=1:a87bd80c:1|68fd508a:5|c512fbe3:2|" in made


def test_a_lineage_does_not_grow_without_end() -> None:
    header: str | None = None
    for number in range(MAX_FUNCTIONS + 5):
        header = outgoing(header, epoch_ms=0, function_arn=f"{ARN}{number}")
    assert header is not None
    assert header.count("|") == MAX_FUNCTIONS - 1


@pytest.mark.parametrize("lineage", ["", "1", "1:x:1", "1:zzzzzzzz:9", f"1:aaaaaaaa:{'9' * 5000}", "|" * 500])
def test_a_lineage_that_cannot_be_read_is_a_new_one(lineage: str) -> None:
    assert FORM.fullmatch(outgoing(f"Lineage={lineage}", epoch_ms=0, function_arn=ARN))
