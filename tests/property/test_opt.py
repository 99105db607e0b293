"""The merge of layers under /opt against a model of it: the tree of the last layer that says anything of a path."""

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.functions.opt import merge
from lambent.functions.unpack import remove

FILE, PROGRAM, LINK = "file", "program", "link"

names = st.sampled_from(["a", "b", "bin", "python"])
leaves = st.tuples(st.sampled_from([FILE, PROGRAM, LINK]), st.text("xyz", min_size=1, max_size=3))
trees = st.recursive(leaves, lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)
layers = st.lists(st.dictionaries(names, trees, max_size=4), min_size=1, max_size=4)

Tree = Mapping[str, "Tree | tuple[str, str]"]


def write(tree: Tree, folder: Path) -> None:
    for name, item in tree.items():
        place = folder / name
        if isinstance(item, tuple):
            kind, text = item
            if kind == LINK:
                place.symlink_to(text)
            else:
                place.write_text(text)
                place.chmod(0o555 if kind == PROGRAM else 0o444)
        else:
            place.mkdir()
            write(item, place)
    folder.chmod(0o555)


def read(folder: Path) -> Tree:
    found: dict[str, Tree | tuple[str, str]] = {}
    for place in folder.iterdir():
        if place.is_symlink():
            found[place.name] = LINK, os.readlink(place)
        elif place.is_dir():
            found[place.name] = read(place)
        else:
            executable = bool(place.stat().st_mode & stat.S_IXUSR)
            found[place.name] = PROGRAM if executable else FILE, place.read_text()
    return found


def over(lower: Tree, upper: Tree) -> Tree:
    merged = dict(lower)
    for name, item in upper.items():
        below = merged.get(name)
        both = isinstance(item, Mapping) and isinstance(below, Mapping)
        merged[name] = over(below, item) if both else item  # type: ignore[arg-type]
    return merged


@given(layers)
@settings(deadline=None, max_examples=150)
def test_a_later_layer_wins_path_by_path(trees: list[Tree]) -> None:
    with tempfile.TemporaryDirectory() as home:
        sources = []
        for number, tree in enumerate(trees):
            source = Path(home) / f"source-{number}"
            source.mkdir()
            write(tree, source)
            sources.append(source)
        merged = Path(home) / "merged"
        merged.mkdir(0o700)
        merge(sources, merged)
        expected: Tree = {}
        for tree in trees:
            expected = over(expected, tree)
        assert read(merged) == expected
        assert [read(source) for source in sources] == trees, "the packages themselves stay as they are"
        assert all(not stat.S_IMODE(place.lstat().st_mode) & 0o222 for place in [merged, *plain(merged)])
        for folder in (*sources, merged):
            remove(folder)


def plain(folder: Path) -> list[Path]:
    return [place for place in folder.rglob("*") if not place.is_symlink()]
