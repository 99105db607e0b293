"""Which handler a folder of Python sources has. Reads the sources, runs nothing of them; guesses only when one answer
is clearly right."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lambent.packaging.folder import PackagingError

USUAL: Final = ("lambda_function.lambda_handler", "app.handler", "app.lambda_handler", "handler.handler")
"""What AWS's own tools write, and its documentation."""
NAMES: Final = frozenset({"handler", "lambda_handler"})


def guess(folder: Path) -> str:
    """Raises `PackagingError`, with what to do, where none or several fit."""
    found = candidates(folder)
    if len(found) == 1:
        return found[0]
    usual = [name for name in USUAL if name in found]
    if len(usual) == 1:
        return usual[0]
    if not found:
        raise PackagingError(
            f"no handler in {folder}: no .py file there has a function that takes (event, context); "
            "name it with --handler MODULE.FUNCTION"
        )
    raise PackagingError(f"several functions in {folder} may be the handler; choose one: {_flags(found)}")


def _flags(found: Sequence[str]) -> str:
    shown = ", ".join(f"--handler {name}" for name in found[:5])
    return shown if len(found) <= 5 else f"{shown}, ..."


def candidates(folder: Path) -> list[str]:
    """Functions of (event, context), and what is named like a handler, in the modules directly in `folder`."""
    found: list[str] = []
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith(("test_", "conftest")) and file.is_file():
            found += [f"{file.stem}.{name}" for name in _in(file)]
    return found


def _in(file: Path) -> list[str]:
    try:
        module = ast.parse(file.read_bytes(), filename=file.name)
    except SyntaxError as error:
        raise PackagingError(f"{file.name}, line {error.lineno}: {error.msg}") from error
    except (OSError, ValueError) as error:
        raise PackagingError(f"cannot read {file}: {error}") from error
    found = []
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and (node.name in NAMES or _takes_event_and_context(node)):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [item.id for item in node.targets if isinstance(item, ast.Name) and item.id in NAMES]
    return list(dict.fromkeys(found))


def _takes_event_and_context(function: ast.FunctionDef) -> bool:
    names = [argument.arg.strip("_") for argument in (*function.args.posonlyargs, *function.args.args)]
    return names[:2] == ["event", "context"]
