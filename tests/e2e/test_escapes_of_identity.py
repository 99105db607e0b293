"""A function speaks for nobody but itself. Each attempt succeeds for the one whose right it is."""

import pytest

from lambent.testing.running_server import Server
from tests.e2e.escapes import identity
from tests.e2e.escapes.identity import CASES, Case, Outcome


@pytest.fixture(scope="module", params=identity.WAYS)
def outcome(server: Server, request: pytest.FixtureRequest) -> Outcome:
    if server.sandbox == "process":
        pytest.skip("the process sandbox promises nothing")
    return identity.run(server, request.param)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_succeeds_for_the_one_whose_right_it_is(outcome: Outcome, case: Case) -> None:
    assert outcome.rightful[case.name] == "ok"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_to_another(outcome: Outcome, case: Case) -> None:
    assert outcome.inside[case.name] in case.expected
