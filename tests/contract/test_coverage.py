"""`docs/coverage.md` says what is registered, and `make docs` writes it."""

import ast
from pathlib import Path

from botocore import xform_name

from lambent.aws.service import CallContext, Parameters, Result, Service
from lambent.gateway.coverage import coverage_page
from lambent.testing.registered import page, registered

COVERAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


async def nothing(context: CallContext, parameters: Parameters) -> Result:
    return {}


def test_operations_are_listed_as_built_or_not() -> None:
    operations = {"CreateFunction": nothing}
    text = coverage_page({"lambda": Service("lambda", operations)})
    built, absent = text.split("### Not built")
    assert "| [lambda](#lambda) | 1 | 0 | 91 | 2015-03-31 |" in built
    assert "- CreateFunction" in built
    assert "- ListLayers" in absent


def test_an_operation_with_refused_members_is_partial() -> None:
    service = Service("lambda", {"CreateFunction": nothing}, lambda: {"CreateFunction": ["VpcConfig", "DurableConfig"]})
    text = coverage_page({"lambda": service})
    assert "| [lambda](#lambda) | 0 | 1 | 91 | 2015-03-31 |" in text
    assert "- CreateFunction: without VpcConfig, DurableConfig" in text


def called() -> set[str]:
    """Names of all methods that the contract tests call, and the texts in them."""
    names: set[str] = set()
    for file in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)
    return names


async def test_each_operation_that_is_built_has_a_contract_test(tmp_path: Path) -> None:
    names = called()
    async with registered(tmp_path / "data") as services:
        operations = [(service.name, name) for service in services.values() for name in service.operations]
    untested = [pair for pair in operations if not {xform_name(pair[1]), pair[1]} & names]
    assert not untested


async def test_the_page_in_the_repository_is_up_to_date(tmp_path: Path) -> None:
    assert COVERAGE.read_text(encoding="utf-8") == await page(tmp_path / "data"), "run `make docs`"
