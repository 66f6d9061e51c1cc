"""The files that make a phone open our links in its app: as the settings say, or not there."""

from __future__ import annotations

import json

import pytest

from libs.chassis.settings import SettingsError
from services.gateway.app_links import android_apps, apple_ids
from services.gateway.settings import Settings
from services.gateway.tests.stubs import World, world

APPLE, ANDROID = "/.well-known/apple-app-site-association", "/.well-known/assetlinks.json"
PRINT, OTHER = ":".join(["AB"] * 32), ":".join(["0F"] * 32)
PACKAGE = "com.example.pager"


@pytest.mark.servers
async def test_phones_find_whose_links_these_are() -> None:
    async with world(app_apple_ids="ABCDE12345.com.example.pager", app_android=f"{PACKAGE}={PRINT}") as pager:
        for path in (APPLE, ANDROID):
            answer = await pager.call("GET", path, token=None)
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        apple = (await pager.call("GET", APPLE, token=None)).json
        android = (await pager.call("GET", ANDROID, token=None)).json
        head = await pager.call("HEAD", APPLE, token=None)
        posted = await pager.call("POST", APPLE, {}, token=None)
    (links,) = apple["applinks"]["details"]
    assert links["appIDs"] == apple["webcredentials"]["apps"] == ["ABCDE12345.com.example.pager"]
    *excluded, rest = links["components"]
    assert rest == {"/": "/app/*"}
    assert [(part["/"], part["exclude"]) for part in excluded] == [("/app/reset", True), ("/app/verify", True)]
    (statement,) = android
    assert statement["target"] == {
        "namespace": "android_app",
        "package_name": PACKAGE,
        "sha256_cert_fingerprints": [PRINT],
    }
    assert "delegate_permission/common.handle_all_urls" in statement["relation"]
    assert (head.status, head.raw) == (200, b"")
    assert posted.status == 405


@pytest.mark.servers
async def test_without_an_app_there_are_none(pager: World) -> None:
    for path in (APPLE, ANDROID, "/.well-known/other", "/.well-known/..%2Fassetlinks.json"):
        answer = await pager.call("GET", path, token=None)
        assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "given",
    [
        f"{PACKAGE}={PRINT}, org.example.other = SHA256:{OTHER.lower()},{PACKAGE}={OTHER}",
        json.dumps({PACKAGE: [PRINT, f"sha256:{OTHER}", PRINT], "org.example.other": OTHER}),
    ],
)
def test_android_apps_are_a_list_or_json(given: str) -> None:
    assert android_apps(given) == {PACKAGE: (PRINT, OTHER), "org.example.other": (OTHER,)}


def test_apple_ids_are_a_list() -> None:
    assert apple_ids(" ABCDE12345.com.example.pager,,ABCDE12345.com.x-y ,ABCDE12345.com.x-y") == (
        "ABCDE12345.com.example.pager",
        "ABCDE12345.com.x-y",
    )
    assert apple_ids("") == ()
    assert android_apps(" ") == {}


@pytest.mark.parametrize(
    "given",
    [
        "com.example.pager",
        "abcde12345.com.example.pager",
        "ABCDE1234.com.example.pager",
        "ABCDE12345.com.example.*",
        "ABCDE12345.com/example",
        "ABCDE12345.pager",
        "ABCDE12345.com..pager",
        "ABCDE12345.com.example.pager ABCDE12345.com.other",
        ",".join(f"ABCDE123{n:02}.com.example" for n in range(21)),
    ],
)
def test_a_bad_apple_id_names_its_setting_and_what_was_expected(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^PAGER_APP_APPLE_IDS: expected app ids such as ABCDE12345"):
        Settings.load(nats_url="nats://127.0.0.1:4222", app_apple_ids=given)


@pytest.mark.parametrize(
    "given",
    [
        PACKAGE,
        f"={PRINT}",
        f"pager={PRINT}",
        f"com.1example={PRINT}",
        f"{PACKAGE}={PRINT[:-3]}",
        f"{PACKAGE}={PRINT}:AB",
        f"{PACKAGE}=MD5:{PRINT}",
        f"{PACKAGE}={PRINT}={PRINT}",
        PRINT,
        "{",
        "{}}",
        '{"com.example.pager": 1}',
        '{"com.example.pager": []}',
        '{"com.example.pager": [1]}',
        '{"com.example.pager": null}',
        f'{{"com.example.pager": ["{PRINT}", "x"]}}',
        '{"a":' * 5000,
        ",".join(f"com.example.a{n}={PRINT}" for n in range(21)),
    ],
)
def test_bad_android_apps_name_their_setting_and_what_was_expected(given: str) -> None:
    with pytest.raises(SettingsError, match=r"^PAGER_APP_ANDROID: expected package=fingerprint") as refused:
        Settings.load(nats_url="nats://127.0.0.1:4222", app_android=given)
    assert len(str(refused.value)) < 500
