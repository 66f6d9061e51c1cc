"""What is made by a script is what the script makes; what a store and a build are given is there."""

from __future__ import annotations

import importlib.util
import re
import struct
import wave
from types import ModuleType

import pytest
from places import ANDROID, IOS, JAVA, MOBILE, PLUGIN, text

LIMITS = {
    "name": 30,
    "title": 30,
    "subtitle": 30,
    "short_description": 80,
    "keywords": 100,
    "promotional_text": 170,
    "description": 4000,
    "full_description": 4000,
    "notes": 4000,
}
"""Characters that the stores take (App Store Connect and Play Console, help pages on metadata)."""


@pytest.fixture(scope="module")
def sounds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sounds", PLUGIN / "scripts/sounds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sounds_are_what_the_script_makes(sounds: ModuleType) -> None:
    made = sounds.made()
    assert len(made) == 3
    for path, content in made.items():
        assert path.read_bytes() == content, path.name


def test_the_sounds_of_android_are_those_that_its_channels_name() -> None:
    raw = PLUGIN / "android/src/main/res/raw"
    named = set(re.findall(r'"(page\w*)"', text(JAVA / "Channels.java")))
    assert {path.stem for path in raw.iterdir()} == named
    for path in raw.iterdir():
        with wave.open(str(path)) as file:
            assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
            assert 0.5 < file.getnframes() / file.getframerate() < 30


def test_the_sound_of_ios_is_one_that_a_notification_may_have() -> None:
    data = (IOS / "App/page.caf").read_bytes()
    assert data[:8] == b"caff\x00\x01\x00\x00"
    assert struct.unpack(">4sq", data[8:20]) == (b"desc", 32)
    rate, form, _, packet, _, channels, bits = struct.unpack(">d4sIIIII", data[20:52])
    assert (form, packet, channels, bits) == (b"lpcm", 2, 1, 16)
    name, size = struct.unpack(">4sq", data[52:64])
    assert (name, size) == (b"data", len(data) - 64)
    assert (size - 4) / 2 / rate < 30, "iOS plays its own sound in the place of a longer one"


def _png(path_bytes: bytes) -> tuple[int, int, int]:
    """Width, height, colour type."""
    assert path_bytes[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, _, colour = struct.unpack(">IIBB", path_bytes[16:26])
    return width, height, colour


def test_icons_have_their_sizes_and_apples_is_opaque() -> None:
    icon = IOS / "App/Assets.xcassets/AppIcon.appiconset/AppIcon-512@2x.png"
    assert _png(icon.read_bytes()) == (1024, 1024, 2), "Apple refuses an icon with an alpha channel"
    for density, size in {"mdpi": 48, "hdpi": 72, "xhdpi": 96, "xxhdpi": 144, "xxxhdpi": 192}.items():
        folder = ANDROID / f"app/src/main/res/mipmap-{density}"
        for name, scale in (("ic_launcher", 1.0), ("ic_launcher_round", 1.0), ("ic_launcher_foreground", 2.25)):
            width, height, _ = _png((folder / f"{name}.png").read_bytes())
            assert (width, height) == (round(size * scale), round(size * scale)), (density, name)


def test_the_stores_texts_fit() -> None:
    found = sorted((MOBILE / "store").rglob("*.txt"))
    assert len(found) >= 10
    for path in found:
        limit = LIMITS.get(path.stem)
        content = text(path).strip()
        assert content, path.name
        if limit is not None:
            assert len(content) <= limit, (str(path.relative_to(MOBILE)), len(content))


def test_no_lane_and_no_file_of_the_build_holds_a_secret() -> None:
    for path in (MOBILE / "fastlane").iterdir():
        source = text(path)
        assert "PRIVATE KEY" not in source
        assert not re.search(r"(password|secret|token)\s*[:=]\s*['\"][^'\"#{]", source, re.IGNORECASE), path.name
