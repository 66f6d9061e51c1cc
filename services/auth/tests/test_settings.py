"""What auth reads from the environment."""

from datetime import timedelta
from pathlib import Path

import pytest

from libs.chassis.settings import SettingsError
from services.auth.settings import Settings

PASSWORD = "Correct-Horse-7"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env is
    for name in ("ADMIN_EMAIL", "ADMIN_PASSWORD", "BCRYPT_ROUNDS", "INSECURE_TEST_HASHING"):
        monkeypatch.delenv(f"PAGER_{name}", raising=False)
    for name in ("JWT_ACCESS_EXPIRES", "JWT_REFRESH_EXPIRES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PAGER_DATABASE_URL", "postgresql://pager_auth:x@127.0.0.1/pager")
    monkeypatch.setenv("PAGER_NATS_URL", "nats://auth:x@127.0.0.1")
    monkeypatch.setenv("PAGER_MASTER_KEY", "m" * 32)


def test_the_defaults_are_the_specifications() -> None:
    settings = Settings.load()
    assert settings.jwt_access_expires == timedelta(minutes=15)
    assert settings.jwt_refresh_expires == timedelta(days=7)
    assert settings.bcrypt_rounds == 12


def test_lifetimes_are_read_without_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_ACCESS_EXPIRES", "90s")
    monkeypatch.setenv("JWT_REFRESH_EXPIRES", "12h")
    settings = Settings.load()
    assert settings.jwt_access_expires == timedelta(seconds=90)
    assert settings.jwt_refresh_expires == timedelta(hours=12)


@pytest.mark.parametrize("value", ["900", "0m", "-5m", "15 m", "soon", "1.5h"])
def test_a_lifetime_without_a_clear_unit_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("JWT_ACCESS_EXPIRES", value)
    with pytest.raises(SettingsError, match="JWT_ACCESS_EXPIRES"):
        Settings.load()


def test_an_access_token_lives_no_longer_than_ended_sessions_are_remembered() -> None:
    assert Settings.load(jwt_access_expires="60m").jwt_access_expires == timedelta(hours=1)
    with pytest.raises(SettingsError, match="JWT_ACCESS_EXPIRES must be at most 1h"):
        Settings.load(jwt_access_expires="61m")


def test_a_refresh_token_must_outlive_the_access_token() -> None:
    with pytest.raises(SettingsError, match="JWT_REFRESH_EXPIRES"):
        Settings.load(jwt_refresh_expires="15m")


def test_a_refresh_token_lives_for_a_year_at_most() -> None:
    assert Settings.load(jwt_refresh_expires="365d").jwt_refresh_expires == timedelta(days=365)
    with pytest.raises(SettingsError, match="JWT_REFRESH_EXPIRES must be at most 365d"):
        Settings.load(jwt_refresh_expires="999999999d")


def test_fewer_rounds_need_the_setting_for_tests() -> None:
    with pytest.raises(SettingsError, match="PAGER_BCRYPT_ROUNDS"):
        Settings.load(bcrypt_rounds=11)
    assert Settings.load(bcrypt_rounds=4, insecure_test_hashing=True).bcrypt_rounds == 4
    assert Settings.load(bcrypt_rounds=13).bcrypt_rounds == 13


def test_a_short_master_key_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError, match="PAGER_MASTER_KEY") as refused:
        Settings.load(master_key="hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_weak_admin_password_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError, match=r"PAGER_ADMIN_PASSWORD.*12 characters") as refused:
        Settings.load(admin_email="admin@example.com", admin_password="hunter2")
    assert "hunter2" not in str(refused.value)


def test_the_admins_address_and_password_go_together() -> None:
    for one in ({"admin_email": "admin@example.com"}, {"admin_password": PASSWORD}):
        with pytest.raises(SettingsError, match="set both or neither"):
            Settings.load(**one)


def test_no_secret_shows_in_the_settings() -> None:
    settings = Settings.load(admin_email="admin@example.com", admin_password=PASSWORD)
    assert PASSWORD not in repr(settings)
    assert "m" * 32 not in repr(settings)


def test_the_previous_master_key_is_another_one_and_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load(master_key_previous="p" * 32).master_key_previous is not None
    monkeypatch.setenv("PAGER_MASTER_KEY_PREVIOUS", "")
    assert Settings.load().master_key_previous is None
    for wrong in ("hunter2", "m" * 32):
        with pytest.raises(SettingsError, match="PAGER_MASTER_KEY_PREVIOUS") as refused:
            Settings.load(master_key_previous=wrong)
        assert wrong not in str(refused.value)


def test_mails_need_a_server_and_a_sender_and_nothing_says_the_servers_password() -> None:
    assert Settings.load().mail_server() is None
    given = {"smtp_url": "smtps://u:s%40cret@mail.example", "smtp_from": "pager@mail.example"}
    server = Settings.load(**given).mail_server()
    assert server is not None
    assert (server.hostname, server.port, server.username, server.password) == ("mail.example", 465, "u", "s@cret")
    assert "s@cret" not in repr(server)
    for name, value in given.items():
        with pytest.raises(SettingsError, match="PAGER_SMTP_URL and PAGER_SMTP_FROM go together"):
            Settings.load(**{name: value})
    with pytest.raises(SettingsError, match="PAGER_SMTP_CA_FILE"):
        Settings.load(smtp_ca_file="/nowhere")


@pytest.mark.parametrize("url", ["https://u:secret@mail.example", "smtp://u:secret@", "smtp://u:secret@mail.example/x"])
def test_a_mail_servers_url_is_judged_before_the_start(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PAGER_SMTP_URL", url)
    monkeypatch.setenv("PAGER_SMTP_FROM", "pager@mail.example")
    with pytest.raises(SettingsError, match="PAGER_SMTP_URL: ") as refused:
        Settings.load()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("value", "needed"), [(None, False), ("true", True), ("false", False)])
def test_a_second_factor_is_asked_of_admins_where_that_is_set(
    monkeypatch: pytest.MonkeyPatch, value: str | None, needed: bool
) -> None:
    if value is not None:
        monkeypatch.setenv("PAGER_ADMINS_NEED_TOTP", value)
    assert Settings.load(master_key="m" * 32).admins_need_totp is needed


_PROVIDER = {
    "oidc_issuer": "https://id.example.com",
    "oidc_client_id": "pager",
    "oidc_redirect_uris": "com.example.pager:/signed-in",
}


def test_an_identity_provider_is_given_whole_or_not_at_all() -> None:
    assert Settings.load().oidc() is None
    given = Settings.load(**_PROVIDER, oidc_client_secret="a s3cret", public_url="https://pager.example.com/")
    configuration = given.oidc()
    assert configuration is not None
    assert configuration.callback == "https://pager.example.com/api/v1/auth/oidc/callback"
    assert "s3cret" not in repr((given, configuration))
    for name in _PROVIDER:
        with pytest.raises(SettingsError, match="PAGER_OIDC_REDIRECT_URIS go together"):
            Settings.load(**{k: v for k, v in _PROVIDER.items() if k != name})
    for name, value in {"oidc_client_secret": "a s3cret", "oidc_group_roles": '{"a": "admin"}'}.items():
        with pytest.raises(SettingsError, match=f"PAGER_{name.upper()} needs a PAGER_OIDC_ISSUER"):
            Settings.load(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_ISSUER", "http://id.example.com"),
        ("OIDC_REDIRECT_URIS", "http://app.example.com"),
        ("OIDC_GROUP_ROLES", '{"a": "boss"}'),
        ("OIDC_SCOPES", "email"),
        ("OIDC_CA_FILE", "/nowhere"),
        ("OIDC_CLIENT_ID", "é"),
    ],
)
def test_what_is_said_of_an_identity_provider_is_judged_before_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for setting, good in _PROVIDER.items():
        monkeypatch.setenv(f"PAGER_{setting.upper()}", good)
    monkeypatch.setenv(f"PAGER_{name}", value)
    with pytest.raises(SettingsError, match=f"PAGER_{name}: "):
        Settings.load()


def test_the_providers_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a s3cret\n")
    monkeypatch.setenv("PAGER_OIDC_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    configuration = Settings.load(**_PROVIDER).oidc()
    assert configuration is not None
    assert configuration.secret == "a s3cret"
