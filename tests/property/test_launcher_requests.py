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
        "do": st.just("create") | _ANYTHING,
        "code": _PATHS | _ANYTHING,
        "prefix": st.integers(-2, 5) | _ANYTHING,
        "memory_mb": st.integers(0, 40_000) | _ANYTHING,
        "tmp_mb": st.integers(0, 20_000) | _ANYTHING,
        "processes": st.integers(0, 2_000) | _ANYTHING,
    }
)


@given(_MESSAGES, st.integers(0, 3))
def test_request_is_within_what_was_agreed_or_refused(message: dict[str, object], prefixes: int) -> None:
    try:
        wanted = request.parse(message, prefixes)
    except request.BadRequest:
        return
    assert not wanted.code.startswith("/")
    assert not {"", ".", ".."} & set(wanted.code.split("/"))
    assert "\0" not in wanted.code
    assert 0 <= wanted.prefix < prefixes
    assert request.MEMORY_MB[0] <= wanted.memory_mb <= request.MEMORY_MB[1]
    assert request.TMP_MB[0] <= wanted.tmp_mb <= request.TMP_MB[1]
    assert request.PROCESSES[0] <= wanted.processes <= request.PROCESSES[1]
