"""A bad setting stops a service at once with one line that names it and never shows it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from libs.chassis.settings import ServiceSettings, SettingsError, check_service, load_or_exit

_GOOD = {"PAGER_DATABASE_URL": "postgresql://u:secret1@h/db", "PAGER_NATS_URL": "nats://u:secret2@h:4222"}


class _Own(ServiceSettings):
    count: int = 3
    key: str | None = None
    key_file: str | None = None
    word: str | None = None


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


def _read_as_a_process(monkeypatch: pytest.MonkeyPatch, **environment: str) -> _Own:
    """`load_or_exit` changes the environment of its process."""
    monkeypatch.setattr(os, "environ", dict(os.environ) | environment)
    return load_or_exit(_Own)


def test_settings_come_from_the_environment_and_from_env_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("of the file\n")
    (tmp_path / ".env").write_text(
        f"\ufeffPAGER_COUNT=5\nPAGER_LOG_LEVEL=debug\nUNRELATED=1\nPAGER_WORD_FILE={tmp_path / 'key'}\n"
    )
    with monkeypatch.context() as process:
        settings = _read_as_a_process(process)
        assert "UNRELATED" not in os.environ, "what is nobody's setting stays where it is"
    assert (settings.count, settings.log_level, settings.word) == (5, "debug", "of the file")
    with monkeypatch.context() as process:
        settings = _read_as_a_process(process, PAGER_COUNT="7", PAGER_WORD="of the environment")
    assert (settings.count, settings.word) == (7, "of the environment")
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
        ("PAGER_COUNT_FILE", "/dev/zero", "PAGER_COUNT_FILE: is no file"),
        ("PAGER_WORD", "  ", "PAGER_WORD: is blank"),
        ("PAGER_DATABASE_URL", "  ", "PAGER_DATABASE_URL: is blank"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "foo", "OTEL_EXPORTER_OTLP_ENDPOINT: must begin with"),
    ],
)
def test_a_fault_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    line = _line(capsys)
    assert line.startswith(("pager: PAGER_", "pager: OTEL_"))
    assert words in line


def test_lines_of_an_env_file_that_set_nothing_stop_a_service_and_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(
        "\r\n\r\nPAGER_COUNT 5\nPAGER_WORD\n'secret\nPAGER_KEY=a # fine\nexport PAGER_KEY=b\n"
    )
    with pytest.raises(SystemExit), monkeypatch.context() as process:
        _read_as_a_process(process, PAGER_COUNT="many")
    said = capsys.readouterr().err
    assert said.splitlines() == [
        *(f"pager: .env: line {number} is no setting, which would be NAME=value" for number in (3, 4, 5)),
        "pager: PAGER_COUNT: must be a whole number",
    ]


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
    (tmp_path / "ca.pem").write_text("none")
    assert "PAGER_NATS_CA_FILE needs a PAGER_NATS_URL that begins with tls://" in _line(capsys)
    monkeypatch.setenv("PAGER_NATS_URL", "tls://u:secret2@h:4222")
    assert "PAGER_NATS_CA_FILE: holds no certificates" in _line(capsys)
    (tmp_path / "ca.pem").unlink()
    assert "PAGER_NATS_CA_FILE: No such file" in _line(capsys)


def test_tls_shakes_hands_before_anything_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _Own.load().nats_tls() == {}
    monkeypatch.setenv("PAGER_NATS_URL", "tls://u:secret2@h:4222")
    assert _Own.load().nats_tls()["tls_handshake_first"] is True
