"""The table of limits: defaults, values of the user, and what is refused."""

import pytest

from lambent.core.setting_values import Given, SettingsError
from lambent.functions.quotas import Quotas, configured, table


def test_defaults_hold_where_nothing_is_given() -> None:
    assert configured({}, 1000) == Quotas()


def test_every_number_can_be_set() -> None:
    wanted = {each.name: each.default + (1 if each.allows(each.default + 1) else -1) for each in table()}
    given = {name: Given(value, "file") for name, value in wanted.items() if name != "concurrent_executions"}
    quotas = configured(given, wanted["concurrent_executions"])
    assert {name: getattr(quotas, name) for name in wanted} == wanted


def test_every_quota_says_what_it_limits() -> None:
    assert all(each.meaning and each.allows(each.default) for each in table())


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("max_tag", 1, "unknown quota 'max_tag'; did you mean max_tags?"),
        ("elephants", 1, "unknown quota 'elephants'; `lambent quotas` lists them"),
        ("max_timeout_s", 0, "max_timeout_s must be a whole number from 1 to 5400, not 0"),
        ("max_timeout_s", 5401, "max_timeout_s must be a whole number from 1 to 5400, not 5401"),
        ("max_variables_bytes", 1, "max_variables_bytes must be a whole number of 2 or more, not 1"),
        ("concurrent_executions", 5, "concurrent_executions is set by account_concurrency"),
    ],
)
def test_what_is_no_quota_or_too_small_is_refused_with_its_place(name: str, value: int, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        configured({name: Given(value, "lambent.toml")}, 1000)
    assert str(refused.value) == f"lambent.toml: {text}"
