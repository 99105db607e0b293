"""Whatever a hijacked supervisor sends: the launcher's checks let only what was agreed through."""

from hypothesis import given
from hypothesis import strategies as st

from lambent.launcher import request

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_PATHS = st.lists(st.sampled_from(["a", "b.c", ".", "..", "", "/", "\0", "etc"]), max_size=5).map("/".join)
_MESSAGES = st.fixed_dictionaries(
    {
        "do": st.just("prepare") | _ANYTHING,
        "code": _PATHS | _ANYTHING,
        "prefix": st.integers(-2, 5) | _ANYTHING,
        "runtime": st.none() | st.integers(-2, 5) | _ANYTHING,
        "zygote": st.none() | st.integers(-2, 5) | _ANYTHING,
        "memory_mb": st.integers(0, 40_000) | _ANYTHING,
        "tmp_mb": st.integers(0, 20_000) | _ANYTHING,
        "processes": st.integers(0, 2_000) | _ANYTHING,
    }
)


_STARTS = st.fixed_dictionaries(
    {
        "name": st.just("runtime") | st.text().map("extension/".__add__) | _ANYTHING,
        "argv": st.lists(st.text(), max_size=3) | _ANYTHING,
        "variables": st.dictionaries(st.text(), st.text(), max_size=3) | _ANYTHING,
        "folder": _PATHS | _ANYTHING,
        "open_files": st.integers(0, 2_000) | _ANYTHING,
    }
)


def _within(limits: request.Limits) -> bool:
    bounds = (request.MEMORY_MB, request.TMP_MB, request.PROCESSES)
    return all(least <= value <= most for value, (least, most) in zip(limits, bounds, strict=True))


@given(_MESSAGES, st.integers(0, 3))
def test_preparation_is_in_bounds_or_refused(message: dict[str, object], runtimes: int) -> None:
    try:
        wanted = request.prepare(message, runtimes)
    except request.BadRequest:
        return
    assert _within(wanted.limits)
    assert wanted.runtime is None or 0 <= wanted.runtime < runtimes
    assert wanted.zygote is None or wanted.zygote > 0


@given(_MESSAGES, st.integers(0, 3))
def test_assignment_is_within_what_was_agreed_or_refused(message: dict[str, object], prefixes: int) -> None:
    try:
        wanted = request.assign(message, prefixes)
    except request.BadRequest:
        return
    assert not wanted.code.startswith("/")
    assert not {"", ".", ".."} & set(wanted.code.split("/"))
    assert "\0" not in wanted.code
    assert 0 <= wanted.prefix < prefixes
    assert _within(wanted.limits)


@given(_STARTS)
def test_start_can_be_handed_to_the_kernel_or_is_refused(message: dict[str, object]) -> None:
    try:
        wanted = request.start(message, 0)
    except request.BadRequest:
        return
    texts = [wanted.name, *wanted.argv, *wanted.variables, *wanted.variables.values(), wanted.folder]
    assert not any("\0" in text for text in texts)
    assert wanted.argv
    assert wanted.folder.startswith("/")
