"""The Android project: what it may do, who may call it, and what it is built from."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest
from places import ANDROID, JAVA, MOBILE, PLUGIN, lacking, text

APP: Final = ANDROID / "app/src/main/AndroidManifest.xml"
LIBRARY: Final = PLUGIN / "android/src/main/AndroidManifest.xml"
NAME: Final = "{http://schemas.android.com/apk/res/android}"
FRAMEWORK: Final = Path("/usr/share/android-framework-res/framework-res.apk")
"""Of Debian's `android-framework-res`: the attributes of API 29, beside `aapt`."""

WANTED: Final = {
    "INTERNET": "the gateway",
    "ACCESS_NETWORK_STATE": "to send what waits as soon as there is a network",
    "POST_NOTIFICATIONS": "Android 13 asks for it",
    "USE_FULL_SCREEN_INTENT": "the alert that covers the lock screen",
    "ACCESS_NOTIFICATION_POLICY": "channels that pass Do Not Disturb",
    "VIBRATE": "ringing while the app is in front",
    "RECEIVE_BOOT_COMPLETED": "what waits is sent after a start",
}


def manifest(path: Path) -> ElementTree.Element:
    return ElementTree.fromstring(path.read_bytes())  # noqa: S314 - our own file


def named(root: ElementTree.Element, kind: str) -> dict[str, ElementTree.Element]:
    return {one.get(f"{NAME}name", "").rpartition(".")[2]: one for one in root.iter(kind)}


def test_it_may_do_what_it_needs_and_nothing_else() -> None:
    asked = set()
    for path in (APP, LIBRARY):
        asked |= {
            one.get(f"{NAME}name", "").removeprefix("android.permission.")
            for one in manifest(path).iter("uses-permission")
        }
    assert asked == set(WANTED)


def test_nobody_but_the_system_calls_what_acts() -> None:
    parts = [one for kind in ("service", "receiver", "activity", "provider") for one in manifest(LIBRARY).iter(kind)]
    exported = {one.get(f"{NAME}name", "").rpartition(".")[2] for one in parts if one.get(f"{NAME}exported") != "false"}
    assert exported == {"AfterStart"}
    actions = {one.get(f"{NAME}name") for one in named(manifest(LIBRARY), "receiver")["AfterStart"].iter("action")}
    protected = {"android.intent.action.BOOT_COMPLETED", "android.intent.action.MY_PACKAGE_REPLACED"}
    assert actions == protected


def test_a_page_gets_through_before_the_first_unlock() -> None:
    library = manifest(LIBRARY)
    for kind, name in (("service", "PushService"), ("receiver", "AckReceiver"), ("activity", "AlertActivity")):
        assert named(library, kind)[name].get(f"{NAME}directBootAware") == "true", name
    build = text(PLUGIN / "android/build.gradle")
    assert "com.google.firebase:firebase-messaging-directboot:" in build
    for path in JAVA.glob("*.java"):
        if path.name != "Storage.java":
            assert "getSharedPreferences" not in text(path), "everything is in the storage that is open then"


def test_every_part_of_the_manifest_is_a_class() -> None:
    for kind in ("service", "receiver", "activity"):
        for name, one in named(manifest(LIBRARY), kind).items():
            assert (JAVA / f"{name}.java").is_file()
            assert one.get(f"{NAME}name", "").startswith("dev.pager.alerts.")


def test_no_backup_takes_anything_along() -> None:
    (application,) = manifest(APP).iter("application")
    assert application.get(f"{NAME}allowBackup") == "false"
    assert application.get(f"{NAME}fullBackupContent") == "false"
    rules = manifest(ANDROID / "app/src/main/res/xml/data_extraction_rules.xml")
    for way in ("cloud-backup", "device-transfer"):
        (one,) = rules.iter(way)
        domains = {rule.get("domain") for rule in one.iter("exclude")}
        assert domains >= {"root", "sharedpref", "database", "device_root", "device_sharedpref"}


def _plain_hosts(path: Path) -> set[str | None]:
    root = manifest(path)
    (base,) = root.iter("base-config")
    assert base.get("cleartextTrafficPermitted") == "false"
    open_ones = [one for one in root.iter("domain-config") if one.get("cleartextTrafficPermitted") == "true"]
    return {domain.text for one in open_ones for domain in one.iter("domain")}


def test_nothing_goes_in_clear_but_to_this_machine() -> None:
    name = "res/xml/network_security_config.xml"
    assert _plain_hosts(ANDROID / "app/src/main" / name) == {"localhost", "127.0.0.1"}
    assert _plain_hosts(ANDROID / "app/src/debug" / name) == {"localhost", "127.0.0.1", "10.0.2.2"}
    assert "trust-anchors" not in text(ANDROID / "app/src/main" / name)


def test_links_of_its_server_and_its_scheme_open_it() -> None:
    filters = [one for one in manifest(APP).iter("intent-filter") if one.find("data") is not None]
    data = [
        {key.removeprefix(NAME): value for part in one.iter("data") for key, value in part.attrib.items()}
        for one in filters
    ]
    assert data == [
        {"scheme": "pager"},
        {"scheme": "https", "host": "${pagerHost}", "pathPrefix": "/app"},
    ]
    assert [one.get(f"{NAME}autoVerify") for one in filters] == [None, "true"]
    assert "manifestPlaceholders = [pagerHost: pagerHost]" in text(ANDROID / "app/build.gradle")


def test_firebases_messages_come_to_one_service() -> None:
    removed = named(manifest(APP), "service")["MessagingService"]
    assert removed.get("{http://schemas.android.com/tools}node") == "remove"
    assert list(named(manifest(LIBRARY), "service")) == ["PushService"]


def test_it_builds_without_firebases_file_which_is_in_no_repository() -> None:
    assert "if (file('google-services.json').exists())" in text(ANDROID / "app/build.gradle")
    assert not (ANDROID / "app/google-services.json").exists()
    ignored = text(ANDROID / ".gitignore").splitlines()
    assert {"google-services.json", "*.jks", "*.keystore"} <= set(ignored)


def test_it_is_for_api_24_to_36() -> None:
    variables = dict(re.findall(r"(\w+) = '?([\d.]+)'?", text(ANDROID / "variables.gradle")))
    assert (variables["minSdkVersion"], variables["targetSdkVersion"], variables["compileSdkVersion"]) == (
        "24",
        "36",
        "36",
    )


def test_every_word_that_is_shown_is_a_resource_and_every_resource_is_used() -> None:
    strings = set(re.findall(r'<string name="(pager_\w+)"', text(PLUGIN / "android/src/main/res/values/strings.xml")))
    used = {name for path in JAVA.glob("*.java") for name in re.findall(r"R\.string\.(\w+)", text(path))}
    assert used == strings


def test_the_plugins_of_the_native_projects_are_those_of_the_app() -> None:
    wanted = json.loads(text(MOBILE / "package.json"))["dependencies"]
    modules = MOBILE / "node_modules"
    plugins = {name for name in wanted if "capacitor" in _package(modules / name)}
    gradle = set(re.findall(r"^include ':([\w-]+)'", text(ANDROID / "capacitor.settings.gradle"), re.MULTILINE))
    assert gradle - {"capacitor-android"} == {_gradle_name(name) for name in plugins}
    package = text(MOBILE / "ios/App/CapApp-SPM/Package.swift")
    assert len(re.findall(r"\.package\(name:", package)) == len(plugins)


def _package(folder: Path) -> dict[str, object]:
    file = folder / "package.json"
    if not file.exists():
        lacking("mobile/node_modules is not there: `make app-test` installs it")
    read: dict[str, object] = json.loads(text(file))
    return read


def _gradle_name(package: str) -> str:
    return package.removeprefix("@").replace("/", "-")


@pytest.mark.parametrize("path", [APP, LIBRARY], ids=["app", "plugin"])
def test_androids_own_tool_takes_the_manifest(path: Path, tmp_path: Path) -> None:
    wrong = _aapt(text(path), tmp_path)
    assert wrong == ""


def test_androids_own_tool_sees_an_attribute_that_is_none(tmp_path: Path) -> None:
    assert "exportedd" in _aapt(text(LIBRARY).replace("android:exported=", "android:exportedd=", 1), tmp_path)


def _aapt(source: str, folder: Path) -> str:
    """What `aapt` says against it. Its attributes are of API 29: what is newer, and our own resources, are left out."""
    if shutil.which("aapt") is None or not FRAMEWORK.exists():
        lacking("no aapt: apt-get install aapt android-framework-res")
    source = re.sub(r'\s+android:dataExtractionRules="[^"]*"', "", source)
    source = re.sub(r'="@(string|mipmap|style|xml)/[\w.]+"', '="@android:style/Theme"', source)
    source = source.replace("${applicationId}", "dev.pager.app").replace("${pagerHost}", "pager.example.org")
    source = source.replace("<manifest ", '<manifest package="dev.pager.app" ', 1)
    file = folder / "AndroidManifest.xml"
    file.write_text(source, encoding="utf-8")
    command = ["aapt", "package", "-f", "-M", str(file), "-I", str(FRAMEWORK), "-F", str(folder / "out.apk")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return "" if ran.returncode == 0 else ran.stderr
