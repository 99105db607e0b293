"""Where settings come from, which wins, and what is refused."""

import re
from datetime import date
from pathlib import Path

import pytest

from lambent.core.setting_values import Given, SettingsError
from lambent.core.settings import Settings, load


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "lambent.toml"


def test_defaults_hold_without_any_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}, {}) == Settings()


def test_a_flag_beats_a_variable_beats_the_file(config: Path) -> None:
    config.write_text("port = 1\nhost = '::1'\nlog-level = 'debug'\n")
    settings = load({"port": 3}, {"LAMBENT_PORT": "2", "LAMBENT_HOST": "127.0.0.2"}, config)
    assert (settings.port, settings.host, settings.log_level) == (3, "127.0.0.2", "debug")


def test_a_flag_that_was_not_given_leaves_the_lower_sources_alone(config: Path) -> None:
    config.write_text("allow_reset = true\n")
    assert load({"allow_reset": None}, {}, config).allow_reset is True


def test_a_lambent_toml_in_the_current_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lambent.toml").write_text("account_concurrency = 7\n")
    assert load({}, {}).account_concurrency == 7


def test_the_file_may_be_named_by_a_variable(config: Path) -> None:
    config.write_text("port = 5\n")
    assert load({}, {"LAMBENT_CONFIG": str(config)}).port == 5


def test_values_get_the_type_of_their_setting(config: Path) -> None:
    config.write_text(
        'data_dir = "/data"\nallowed_hosts = ["a.test", "b.test"]\nidle_environment_s = 30\n'
        '[interpreters]\n"python3.9" = "/py/3.9"\n'
    )
    settings = load({}, {}, config)
    assert settings.data_dir == Path("/data")
    assert settings.allowed_hosts == ("a.test", "b.test")
    assert settings.idle_environment_s == 30.0
    assert settings.interpreters == (("python3.9", Path("/py/3.9")),)


def test_variables_hold_lists_with_commas() -> None:
    variables = {
        "LAMBENT_ALLOWED_HOSTS": "a.test, b.test",
        "LAMBENT_INTERPRETERS": "python3.9=/a,python3.10=/b",
        "LAMBENT_ALLOW_RESET": "Yes",
        "LAMBENT_MAX_ENVIRONMENTS": "12",
    }
    settings = load({}, variables)
    assert settings.allowed_hosts == ("a.test", "b.test")
    assert settings.interpreters == (("python3.9", Path("/a")), ("python3.10", Path("/b")))
    assert settings.allow_reset is True
    assert settings.max_environments == 12


def test_each_quota_comes_from_the_highest_source_that_gives_it(config: Path) -> None:
    config.write_text("[quotas]\nmax_tags = 1\nmax-timeout-s = 1\npage_size = 1\n")
    flags = {"quotas": {"max_tags": Given(3, "--quota")}}
    settings = load(flags, {"LAMBENT_QUOTAS": "max_tags=2, max_timeout_s=2"}, config)
    assert {name: given.value for name, given in settings.quotas.items()} == {
        "max_tags": 3,
        "max_timeout_s": 2,
        "page_size": 1,
    }
    assert settings.quotas["max_timeout_s"].place == "variable LAMBENT_QUOTAS, max_timeout_s"


def test_days_are_days_in_every_source(config: Path) -> None:
    config.write_text('[deprecated_runtimes]\n"python3.8" = 2025-03-01\n')
    assert load({}, {}, config).deprecated_runtimes == (("python3.8", date(2025, 3, 1)),)
    variable = {"LAMBENT_DEPRECATED_RUNTIMES": "python3.9=2026-06-01, go1.x=2024-01-08"}
    assert load({}, variable).deprecated_runtimes == (("python3.9", date(2026, 6, 1)), ("go1.x", date(2024, 1, 8)))


def test_prewarm_is_a_word_or_a_number() -> None:
    assert load({}, {}).prewarm == "auto"
    for given, kept in (("AUTO", "auto"), ("off", "off"), ("0", "0"), ("12", "12")):
        assert load({}, {"LAMBENT_PREWARM": given}).prewarm == kept


def test_an_empty_variable_and_those_of_others_are_no_settings() -> None:
    others = {"LAMBENT_PORT": "", "LAMBENT_ENDPOINT": "http://127.0.0.1:1", "LAMBENT_TEST_SANDBOX": "process"}
    assert load({}, others).port == 4566


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("prot = 1", "unknown key 'prot'; did you mean port?"),
        ("[server]\nport = 1", "unknown key 'server' (known: host, port,"),
        ("port = 70000", "key 'port'"),
        ("port = true", "key 'port'"),
        ("port = '80a'", "key 'port'"),
        ("sandbox = 'docker'", "key 'sandbox'"),
        ("runtime-fallback = 'any'", "key 'runtime-fallback'"),
        ("allow_reset = 'perhaps'", "key 'allow_reset'"),
        ("allowed_hosts = [1]", "key 'allowed_hosts'"),
        ("interpreters = ['python3.9']", "key 'interpreters'"),
        ("endpoints = ['s3']", "key 'endpoints'"),
        ("[endpoints]\ns3 = 'localhost:9000'", "key 'endpoints'"),
        ("[endpoints]\ns3 = 'http://['", "key 'endpoints'"),
        ("idle_environment_s = -1", "key 'idle_environment_s'"),
        ("idle_environment_s = nan", "key 'idle_environment_s'"),
        ("prewarm = -1", "key 'prewarm' must be auto, off, or a whole number from 0 to 1000"),
        ("prewarm = true", "key 'prewarm'"),
        ("prewarm = 'some'", "key 'prewarm'"),
        ("account_concurrency = 0", "key 'account_concurrency'"),
        ("log_disk_mb = 0", "key 'log_disk_mb'"),
        ("log_retention_days = -1", "key 'log_retention_days'"),
        ("user = ''", "key 'user'"),
        ("[deprecated_runtimes]\n'python3.9' = 'soon'", "key 'deprecated_runtimes' must map runtime identifiers"),
        ("deprecated_runtimes = 1", "key 'deprecated_runtimes' must map runtime identifiers"),
        ("quotas = 7", "key 'quotas' must map names to whole numbers"),
        ("[quotas]\nmax_tags = 'many'", "key 'quotas', max_tags must be a whole number"),
        ("[quotas]\nmax_tags = -1", "key 'quotas', max_tags must be a whole number"),
        ("port = ", "not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_and_named(config: Path, text: str, named: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load({}, {}, config)
    assert named in str(caught.value)
    assert str(config) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_was_named_must_exist(config: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load({}, {}, config)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"LAMBENT_PROT": "1"}, "unknown variable LAMBENT_PROT; did you mean LAMBENT_PORT?"),
        ({"LAMBENT_PORT": "tcp://10.0.0.1:80"}, "LAMBENT_PORT"),
        ({"LAMBENT_INTERPRETERS": "python3.9"}, "LAMBENT_INTERPRETERS"),
    ],
)
def test_a_variable_that_cannot_be_used_is_refused_and_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(named)):
        load({}, variables)


def test_endpoints_from_a_table_and_from_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "lambent.toml"
    file.write_text('[endpoints]\ns3 = "http://127.0.0.1:9000"\n')
    assert load(environ={}, config=file).endpoints == (("s3", "http://127.0.0.1:9000"),)
    settings = load(environ={"LAMBENT_ENDPOINTS": "s3=http://a:1, sqs=https://b"}, config=file)
    assert settings.endpoints == (("s3", "http://a:1"), ("sqs", "https://b"))


def test_networks_and_services_of_vpcs_are_read(tmp_path: Path) -> None:
    variables = {"LAMBENT_EGRESS_ALLOW": "10.1.0.0/16,192.168.1.20", "LAMBENT_EGRESS": "none"}
    settings = load({}, variables | {"LAMBENT_VPC_SERVICES": "10.0.1.10:5432=db.lan:5432"})
    assert settings.egress == "none"
    assert settings.egress_allow == ("10.1.0.0/16", "192.168.1.20/32")
    assert settings.vpc_services == (("10.0.1.10:5432", "db.lan:5432"),)
    for name, value in (
        ("EGRESS", "all"),
        ("EGRESS_ALLOW", "10.1.0.5/16"),
        ("EGRESS_ALLOW", "::/0"),
        ("VPC_SERVICES", "10.0.1.10=db.lan:5432"),
        ("VPC_SERVICES", "db:5432=db.lan:5432"),
        ("VPC_SERVICES", "10.0.1.10:5432=:5432"),
        ("VPC_SERVICES", "10.0.1.10:5432=db.lan:99999"),
    ):
        with pytest.raises(SettingsError):
            load({}, {f"LAMBENT_{name}": value})


def test_a_table_of_prices_is_read_while_it_may_be(config: Path, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("free.enabled = false")
    config.write_text(f"prices = '{prices}'\n")
    assert load({}, {}, config).prices == (str(prices), "free.enabled = false")
    for problem, text in ((b"\xff", "is no text"), (None, "cannot be read: No such file or directory")):
        prices.unlink() if problem is None else prices.write_bytes(problem)
        with pytest.raises(SettingsError, match=text):
            load({}, {"LAMBENT_PRICES": str(prices)})


@pytest.mark.parametrize("url", ["mysql://me:s3cret@host/name", "s3cret", "sqlite:///s3cret"])
def test_a_database_that_is_none_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="variable LAMBENT_DATABASE must be the URL of a PostgreSQL") as refused:
        load(environ={"LAMBENT_DATABASE": url})
    assert "s3cret" not in str(refused.value)


def test_the_password_of_a_database_is_not_shown_with_the_settings() -> None:
    settings = load(environ={"LAMBENT_DATABASE": "postgresql://me:s3cret@host/name"})
    assert settings.database == "postgresql://me:s3cret@host/name"
    assert "s3cret" not in repr(settings)
