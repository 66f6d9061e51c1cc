"""A bad setting stops a service at once with one line that names it and never shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.chassis.settings import ServiceSettings, SettingsError, check_service, load_or_exit

_GOOD = {"PAGER_DATABASE_URL": "postgresql://u:secret1@h/db", "PAGER_NATS_URL": "nats://u:secret2@h:4222"}


class _Own(ServiceSettings):
    count: int = 3
    key: str | None = None
    key_file: str | None = None


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "PAGER_DATABASE_URL",
        "PAGER_NATS_URL",
        "PAGER_LOG_FORMAT",
        "PAGER_COUNT",
        "PAGER_KEY_FILE",
        "PAGER_NATS_CA_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    for name, value in _GOOD.items():
        monkeypatch.setenv(name, value)


def _line(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        load_or_exit(_Own)
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "secret" not in line
    return line


def test_settings_come_from_the_environment_and_from_env_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PAGER_COUNT=5\nPAGER_LOG_LEVEL=debug\nUNRELATED=1\n")
    settings = _Own.load()
    assert (settings.count, settings.log_level) == (5, "debug")
    monkeypatch.setenv("PAGER_COUNT", "7")
    assert _Own.load().count == 7
    assert "secret" not in repr(settings) + str(settings)
    assert settings.instance != _Own.load().instance


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://from:file@h/db\n")
    monkeypatch.delenv("PAGER_DATABASE_URL")
    monkeypatch.setenv("PAGER_DATABASE_URL_FILE", str(path))
    assert _Own.load().database_url.get_secret_value() == "postgresql://from:file@h/db"


def test_a_setting_that_is_a_file_itself_is_not_read_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER_KEY_FILE", "/no/such/file.p8")
    assert (_Own.load().key, _Own.load().key_file) == (None, "/no/such/file.p8")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PAGER_COUNT", "many", "PAGER_COUNT: "),
        ("PAGER_LOG_FORMAT", "xml", "PAGER_LOG_FORMAT: "),
        ("PAGER_DATABASE_URL_FILE", "/secret/missing", "both set"),
        ("PAGER_COUNT_FILE", "/no/such/file", "PAGER_COUNT_FILE: No such file"),
    ],
)
def test_a_fault_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    line = _line(capsys)
    assert line.startswith("pager: PAGER_")
    assert words in line


@pytest.mark.parametrize("name", list(_GOOD))
def test_a_missing_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.delenv(name)
    assert _line(capsys) == f"pager: {name}: is missing"


def test_only_our_own_services_become_part_of_sql_and_paths() -> None:
    assert check_service("incidents") == "incidents"
    for name in ("gateway", "incidents; DROP TABLE x", "../etc"):
        with pytest.raises(SettingsError, match="unknown service"):
            check_service(name)


def test_an_authority_for_a_bus_without_tls_is_a_contradiction(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGER_NATS_CA_FILE", str(tmp_path / "ca.pem"))
    assert "PAGER_NATS_CA_FILE needs a PAGER_NATS_URL that begins with tls://" in _line(capsys)
    monkeypatch.setenv("PAGER_NATS_URL", "tls://u:secret2@h:4222")
    assert "PAGER_NATS_CA_FILE: No such file" in _line(capsys)


def test_tls_shakes_hands_before_anything_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _Own.load().nats_tls() == {}
    monkeypatch.setenv("PAGER_NATS_URL", "tls://u:secret2@h:4222")
    assert _Own.load().nats_tls()["tls_handshake_first"] is True
