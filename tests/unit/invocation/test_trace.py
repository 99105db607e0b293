"""The trace header: passed on, or made."""

import re

import pytest

from lambent.invocation.trace import outgoing

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
FORM = re.compile(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=[01];Lineage=1:[0-9a-f]{8}:\d+")


@pytest.mark.parametrize(
    "received",
    [None, "", "nonsense", "Root", "Root=;Sampled=7", "Sampled=1", "Root=1-5759e988-bd862e3fe1be46a994272793\r\nX: y"],
)
def test_what_cannot_be_used_is_made_new(received: str | None) -> None:
    assert FORM.fullmatch(outgoing(received, epoch_ms=1_700_000_000_000, function_arn=ARN))


def test_root_sampling_and_lineage_are_the_callers_and_parent_is_ours() -> None:
    received = "Self=1-1-1;Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:aa:3"
    made = outgoing(received, epoch_ms=0, function_arn=ARN)
    assert made.startswith("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=")
    assert made.endswith(";Sampled=1;Lineage=1:aa:3")
    assert "53995c3f42cd8ad8" not in made


def test_a_new_root_has_the_time() -> None:
    made = outgoing(None, epoch_ms=0x6B00D140 * 1000 + 999, function_arn=ARN)
    assert made.startswith("Root=1-6b00d140-")
    assert made.partition(";")[0] != outgoing(None, epoch_ms=0, function_arn=ARN).partition(";")[0]
