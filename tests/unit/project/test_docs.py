"""What the pages claim, where it can be checked."""

import re
from pathlib import Path

import pytest

from lambent.cli import quotas
from lambent.environments.extensions import states
from lambent.environments.states import NEXT, State
from lambent.event_sources import records as mappings
from tests.e2e.escapes import proof, suite, table

ROOT = Path(__file__).parents[3]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *ROOT.glob("examples/*/*.md"),
]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_each_change_is_one_line_below_a_subject_and_there_once() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text().partition("## [Unreleased]")[2].partition("\n## ")[0]
    before, *subjects = changes.split("\n#### ")
    assert "\n- " not in before
    lines = [line for subject in subjects for line in subject.splitlines()[1:] if line]
    assert [line for line in lines if not line.startswith("- ")] == []
    assert sorted(lines) == sorted(set(lines))


def test_the_states_of_an_environment_are_those_of_the_code() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    shown = page.partition("<!-- environment states -->\n")[2].partition("<!-- end -->")[0]
    order = list(NEXT)
    rows = [
        f"| {state} | {', '.join(sorted(NEXT[state], key=lambda each: order.index(State(each))))} |" for state in order
    ]
    assert shown.splitlines() == [row.replace("|  |", "| |") for row in rows]


def test_the_modules_that_the_architecture_names_exist() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    named = {ROOT / "src/lambent" / name for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+)(?:\.py)?`", page)}
    assert len(named) > 40
    assert [str(each) for each in sorted(named) if not each.is_dir() and not each.with_suffix(".py").exists()] == []


def test_the_states_of_an_extension_are_those_of_the_code() -> None:
    page = (ROOT / "docs/extensions.md").read_text()
    shown = page.partition("<!-- extension states -->\n")[2].partition("<!-- end -->")[0]
    order = list(states.NEXT)
    rows = [
        f"| {state} | {', '.join(each for each in order if each in following)} |"
        for state, following in states.NEXT.items()
    ]
    assert shown.splitlines() == [row.replace("|  |", "| |") for row in rows]


def test_the_states_of_a_mapping_are_those_of_the_code() -> None:
    page = (ROOT / "docs/event-source-mappings.md").read_text()
    order = list(mappings.NEXT)
    for state, following in mappings.NEXT.items():
        names = ", ".join(sorted(following, key=lambda each: order.index(mappings.State(each)))) or "gone"
        assert f"\n| {state} | {names} |\n" in page


def test_the_page_of_quotas_is_the_table_of_the_code() -> None:
    assert (ROOT / "docs/quotas.md").read_text() == quotas.page(), "make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_map_of_the_source_names_every_layer() -> None:
    readme = (ROOT / "README.md").read_text()
    layers = {folder.name for folder in (ROOT / "src/lambent").iterdir() if (folder / "__init__.py").exists()}
    for layer in layers - {"testing"}:
        assert f"`{layer}/" in readme, layer


def test_the_attempts_named_in_the_security_page_are_those_of_the_suite() -> None:
    shown = (ROOT / "docs/security.md").read_text().partition(proof.BEGIN)[2].partition(proof.END)[0]
    assert "\n".join(proof.names()) in shown, "run: make proof"
    assert proof.identity_row() in shown, "run: make proof"
    for guarantee, promise in table.GUARANTEES.items():
        cases = [case for case in table.CASES if case.guarantee == guarantee]
        (row,) = (line for line in shown.splitlines() if line.startswith(f"| {promise} |"))
        shown_count, *cells = row.removesuffix(" |").split(" | ")[1:]
        assert shown_count == str(len(cases))
        for variant, cell in zip(suite.VARIANTS, cells, strict=True):
            open_to_it = sum("ok" in variant.expected(case) for case in cases)
            assert cell in (proof.cell(variant, len(cases), open_to_it), proof.ABSENT), "run: make proof"
