"""The setting `function_users`: which numbers functions get where there are no namespaces."""

import pytest

from lambent.core.setting_values import SettingsError, user_range


def test_a_range_is_its_start_and_its_length() -> None:
    assert user_range("200000:65536", "--function-users") == (200_000, 65_536)


@pytest.mark.parametrize("text", ["200000", "0:10", "200000:2", "a:b", "-1:10", "4294967290:10", "200000:10:1"])
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--function-users takes START:COUNT with 3 or more, as 200000:65536"):
        user_range(text, "--function-users")
