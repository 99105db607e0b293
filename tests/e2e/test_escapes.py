"""A function gets out in none of the ways of the table. Each attempt succeeds outside first, so that its failure inside
means something."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.escapes import suite
from tests.e2e.escapes.suite import SOMETIMES, Results, Variant
from tests.e2e.escapes.table import ALLOWED, CASES, Case
from tests.e2e.sandbox_kit import DRIVERS

VARIANTS = [variant for variant in suite.VARIANTS if variant.driver in DRIVERS]


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # Other users than the one who tests enter it.
        yield suite.run(Path(folder))


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_succeeds_outside(results: Results, case: Case, driver: str) -> None:
    if why := results.lacking(case, driver):
        pytest.skip(why)
    assert results.outside[driver][case.name] == "ok", "an attempt that fails outside too proves nothing"


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_inside(results: Results, case: Case, variant: Variant) -> None:
    _skip_what_is_not_here(results, variant)
    assert results.as_expected(case, variant), results.inside[variant][case.name]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("attempt", ALLOWED)
def test_what_functions_need_is_possible(results: Results, attempt: str, variant: Variant) -> None:
    _skip_what_is_not_here(results, variant)
    assert results.inside[variant][attempt] == "ok"


def _skip_what_is_not_here(results: Results, variant: Variant) -> None:
    if why := results.absent.get(variant):
        assert variant in SOMETIMES, why
        pytest.skip(why)


def test_the_suite_is_large_enough_and_names_nothing_twice() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
