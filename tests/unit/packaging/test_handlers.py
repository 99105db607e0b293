"""The handler that a folder makes clear."""

from pathlib import Path

import pytest

from lambent.packaging.folder import PackagingError
from lambent.packaging.handlers import guess

HANDLER = "def {name}(event, context):\n    return 1\n"


@pytest.mark.parametrize(
    ("sources", "handler"),
    [
        ({"app.py": HANDLER.format(name="handler")}, "app.handler"),
        ({"lambda_function.py": HANDLER.format(name="lambda_handler")}, "lambda_function.lambda_handler"),
        ({"orders.py": HANDLER.format(name="place"), "util.py": "def f(a, b): ..."}, "orders.place"),
        ({"orders.py": "def place(_event, _context): ..."}, "orders.place"),
        ({"main.py": "handler = Mangum(app)"}, "main.handler"),
        # Several, of which one is where everybody looks.
        ({"app.py": HANDLER.format(name="handler"), "old.py": HANDLER.format(name="run")}, "app.handler"),
        ({"app.py": HANDLER.format(name="handler"), "test_app.py": HANDLER.format(name="handler")}, "app.handler"),
    ],
)
def test_the_one_that_is_clearly_right(tmp_path: Path, sources: dict[str, str], handler: str) -> None:
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    assert guess(tmp_path) == handler


def test_several_are_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(HANDLER.format(name="one") + HANDLER.format(name="two"))
    with pytest.raises(PackagingError, match=r"choose one: --handler a\.one, --handler a\.two$"):
        guess(tmp_path)


def test_none_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(PackagingError, match=r"takes \(event, context\); name it with --handler MODULE\.FUNCTION"):
        guess(tmp_path)


def test_a_source_that_is_no_python_is_named_with_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ndef (\n")
    with pytest.raises(PackagingError, match=r"^a\.py, line 2: "):
        guess(tmp_path)
