"""The phone app in a browser: its files, its screens, and nothing else, whatever is away."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from libs.chassis.testing.deadline import in_time
from services.gateway.built import FOLDER, Built, File
from services.gateway.edge import FILES, HEADERS
from services.gateway.tests.stubs import Answer, World, world

SHELL = b"<!doctype html><script type=module src=/app/assets/index-B1xk_9-Q.js></script>" + b" " * 2000
SCRIPT = b"console.log('up');" * 200
ID = "0198f3a1-7c42-7d31-9a55-3f2b6c1d8e90"


def build(folder: Path) -> Path:
    """What `make app` makes, in small; and what a careless hand may put beside it."""
    files = {
        "index.html": SHELL,
        "sw.js": b"self.addEventListener('fetch', () => {});",
        "manifest.webmanifest": b'{"name": "Pager", "start_url": "/app/"}',
        "icons/192.png": b"\x89PNG" * 1000,
        "assets/index-B1xk_9-Q.js": SCRIPT,
        "assets/siren.mp3": b"ID3",
        "assets/odd.xyz": b"?",
        ".vite/manifest.json": b"{}",
        ".env": b"SECRET=1",
    }
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "leak.txt").symlink_to(folder.parent / "secret.txt")
    return folder


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(app=build(tmp_path_factory.mktemp("built") / "webapp")) as made:
        yield made


async def _get(pager: World, path: str, **headers: str) -> Answer:
    """The path as it is written: clients tidy `..` and `%2F` away otherwise."""
    url = URL(pager.gateway.url + path, encoded=True)
    sent = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.get(url, headers=sent, allow_redirects=False) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


async def _raw(pager: World, target: bytes) -> bytes:
    """An answer's bytes to a request line that no client writes."""
    port = URL(pager.gateway.url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with in_time():
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/app/",
        "/app/index.html",
        f"/app/incidents/{ID}",
        f"/app/incidents/{ID}?from=push&x=a/../b",
        "/app/register",
        "/app/settings/devices/",
        "/app/incidents%2F" + ID,
    ],
)
async def test_every_screen_is_the_app(served: World, path: str) -> None:
    answer = await _get(served, path)
    assert (answer.status, answer.raw) == (200, SHELL)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "media_type", "kept"),
    [
        ("assets/index-B1xk_9-Q.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("assets/siren.mp3", "audio/mpeg", "no-cache"),
        ("assets/odd.xyz", "application/octet-stream", "no-cache"),
        ("sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("icons/192.png", "image/png", "no-cache"),
    ],
)
async def test_a_file_has_its_type_and_is_kept_for_ever_where_its_name_has_its_hash(
    served: World, path: str, media_type: str, kept: str
) -> None:
    answer = await _get(served, f"/app/{path}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.headers["Cache-Control"] == kept
    again = await _get(served, f"/app/{path}", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", answer.headers["ETag"])
    assert again.headers["Cache-Control"] == kept
    other = await _get(served, f"/app/{path}", If_None_Match='"other"')
    assert other.status == 200


async def test_what_gets_shorter_is_sent_packed_to_whoever_takes_it(served: World) -> None:
    path = "/app/assets/index-B1xk_9-Q.js"
    packed = await _get(served, path, Accept_Encoding="br, gzip;q=0.5")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.raw) == SCRIPT
    plain = await _get(served, path, Accept_Encoding="gzip;q=0")
    assert ("Content-Encoding" not in plain.headers, plain.raw) == (True, SCRIPT)
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    seen = await _get(served, path, Accept_Encoding="gzip", If_None_Match=plain.headers["ETag"])
    assert (seen.status, "Content-Encoding" in seen.headers) == (304, False)
    picture = await _get(served, "/app/icons/192.png", Accept_Encoding="gzip")
    assert "Content-Encoding" not in picture.headers


async def test_a_head_says_what_a_get_would_send(served: World) -> None:
    async with served.http.head(served.gateway.url + "/app/", headers={"Accept-Encoding": "identity"}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(SHELL)))
        assert await answer.read() == b""


TRICKS = [
    "/app/assets/index-00000000.js",
    "/app/assets/nothing",
    "/app/nothing.js",
    "/app/.env",
    "/app/.vite/manifest.json",
    "/app/leak.txt",
    "/app/../pyproject.toml",
    "/app/..%2f..%2fpyproject.toml",
    "/app/%2e%2e/%2e%2e/settings.py",
    "/app/..%5c..%5csettings.py",
    "/app/....//secret.txt",
    "/app//etc/passwd",
    "/app/%2fetc%2fpasswd",
    "/app/index.html%00.js",
    "/app/%00",
    "/app/%ff%fe",
    "/app/a%0d%0aSet-Cookie:x",
    "/app/" + "a" * 5000,
    "/app/" + "a/" * 100,
]


@pytest.mark.parametrize("path", TRICKS)
async def test_no_trick_leads_out_of_it(served: World, path: str) -> None:
    answer = await _get(served, path)
    assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("target", [b"/app/\xff", b"/app/..;/x", b"http://x/app/../../etc/passwd", b"/app/\x00"])
async def test_no_odd_request_line_leads_out_of_it(served: World, target: bytes) -> None:
    status = (await _raw(served, target)).split(b" ")[1]
    assert status in {b"400", b"404"}


async def test_a_file_is_counted_under_one_name_and_written_down_where_it_is_none(served: World) -> None:
    with capture_logs() as lines:
        for path in ("/app/", "/app/sw.js", "/app/..%2fsecret.txt", f"/app/incidents/{ID}"):
            await _get(served, path)
        # A request is logged when its answer has left, which the caller may see first.
        async with in_time():
            while sum(line["event"] == "request" for line in lines) < 4:
                await asyncio.sleep(0.01)
    told = [(line["log_level"], line["status"]) for line in lines if line["event"] == "request"]
    assert told == [("debug", 200), ("debug", 200), ("info", 404), ("debug", 200)]
    counted = (await served.gateway.front.metrics.own()).decode()
    assert f'endpoint="{FILES}"' in counted
    assert "secret" not in counted


async def test_nothing_is_sent_to_it(served: World) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await served.call(method, "/app/", {}, token=None)
        assert (answer.status, answer.error["code"], answer.headers["Allow"]) == (
            405,
            "METHOD_NOT_ALLOWED",
            "GET, HEAD",
        )


async def test_the_app_is_at_home_at_one_address(served: World) -> None:
    for path, to in (("/app", "/app/"), ("/", "/app/"), ("/app?source=pwa", "/app/?source=pwa")):
        answer = await _get(served, path)
        assert (answer.status, answer.headers["Location"]) == (307, to)
        assert answer.headers["Cache-Control"] == "no-store"
    lured = await _get(served, "/app?//evil.example")
    assert lured.headers["Location"].startswith("/app/?")


async def test_its_policy_allows_nothing_inline_and_nobody_else(served: World) -> None:
    host = served.gateway.url.removeprefix("http://")
    for path in ("/app/", "/app/sw.js", "/app/assets/index-B1xk_9-Q.js"):
        headers = (await _get(served, path)).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data: blob:",
            "font-src": "'self'",
            "media-src": "'self'",
            "connect-src": f"'self' ws://{host}",
            "manifest-src": "'self'",
            "worker-src": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
            "form-action": "'self'",
        }
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        for name in HEADERS.keys() - {"Content-Security-Policy", "Cache-Control"}:
            assert headers[name] == HEADERS[name]


@pytest.mark.parametrize("host", ["a;script-src *", "x' 'unsafe-inline", "evil,example"])
async def test_nothing_gets_into_its_policy_from_a_host(served: World, host: str) -> None:
    answer = await _get(served, "/app/", Host=host)
    if answer.status == 200:
        assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]
    else:
        assert answer.error["code"] == "VALIDATION_ERROR"


async def test_its_policy_names_the_public_address_whatever_a_host_says(tmp_path: Path) -> None:
    async with world(app=build(tmp_path / "webapp"), public_url="https://pager.example:8443") as pager:
        answer = await _get(pager, "/app/", Host="evil.example")
    assert "connect-src 'self' wss://pager.example:8443;" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_pages_that_links_of_mails_open_stay(served: World) -> None:
    for page, script in (("reset", True), ("verify", True), ("register", False)):
        answer = await _get(served, f"/app/{page}")
        assert (answer.status, b"<script>" in answer.raw) == (200, script)


async def test_it_opens_in_maintenance_and_while_the_bus_and_all_services_are_away(tmp_path: Path) -> None:
    async with world(app=build(tmp_path / "webapp"), enable_maintenance_mode=True) as pager:
        await pager.gateway.bus.client.close()
        for path in ("/app/", f"/app/incidents/{ID}", "/app/assets/index-B1xk_9-Q.js", "/app/sw.js"):
            assert (await _get(pager, path)).status == 200


async def test_files_that_go_while_it_runs_are_served_on(tmp_path: Path) -> None:
    folder = build(tmp_path / "webapp")
    async with world(app=folder) as pager:
        for name in ("index.html", "assets/index-B1xk_9-Q.js"):
            (folder / name).unlink()
        assert (await _get(pager, "/app/assets/index-B1xk_9-Q.js")).raw == SCRIPT
        assert (await _get(pager, "/app/")).raw == SHELL


async def test_without_an_app_it_starts_and_says_how_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "main.js").write_text("broken off")
    for folder in (tmp_path / "nothing", tmp_path / "half"):
        async with world(app=folder) as pager:
            for path in ("/app/", f"/app/incidents/{ID}"):
                answer = await _get(pager, path)
                assert (answer.status, b"<code>make app</code>" in answer.raw) == (404, True)
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert (await _get(pager, "/app/main.js")).error["code"] == "NOT_FOUND"
            invited = await _get(pager, "/app/register")
            assert (invited.status, b'data-token="inviteToken"' in invited.raw) == (200, True)


def test_a_file_that_cannot_be_read_keeps_nothing_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path) -> bytes:
        raise PermissionError("no")

    folder = build(tmp_path / "webapp")
    monkeypatch.setattr(Path, "read_bytes", refused)
    assert Built.read(folder).files == {}


def test_the_same_files_are_the_same_bytes_wherever_they_are_read(tmp_path: Path) -> None:
    first = Built.read(build(tmp_path / "a" / "webapp"))
    os.utime(tmp_path / "a" / "webapp" / "index.html", (1, 1))
    assert Built.read(build(tmp_path / "b" / "webapp")) == first == Built.read(tmp_path / "a" / "webapp")


def test_a_small_file_is_sent_as_it_is() -> None:
    assert File.of("assets/a.js", b"1").packed is None


def test_what_is_in_the_tree_is_an_app_or_nothing() -> None:
    built = Built.read()
    assert (built.find("") is not None) is (FOLDER / "index.html").is_file()
