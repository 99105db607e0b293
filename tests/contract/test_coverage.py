"""`docs/coverage.md` says what is registered, and `make docs` writes it."""

from pathlib import Path

from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.coverage import coverage_page
from lambent.testing.registered import page

COVERAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


async def nothing(context: CallContext, parameters: Parameters) -> Result:
    return {}


def test_operations_are_listed_as_built_or_not() -> None:
    operations = {"CreateFunction": nothing, "InvokeWithResponseStream": nothing}
    text = coverage_page({"lambda": Service("lambda", operations)})
    built, absent = text.split("### Not built")
    assert "| [lambda](#lambda) | 1 | 91 | 2015-03-31 |" in built
    assert "- CreateFunction" in built
    # An event stream answers 501, registered or not.
    assert "- InvokeWithResponseStream" in absent
    assert "- ListLayers" in absent


async def test_the_page_in_the_repository_is_up_to_date(tmp_path: Path) -> None:
    assert COVERAGE.read_text(encoding="utf-8") == await page(tmp_path / "data"), "run `make docs`"
