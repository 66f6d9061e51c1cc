"""The Xcode project, what it asks Apple for, and what it says of itself, as far as files tell."""

from __future__ import annotations

import plistlib
import re
from pathlib import Path
from typing import Any

import pytest
from pbxproj import XcodeProject
from places import IOS, MOBILE, PLUGIN, text

PROJECT = IOS / "App.xcodeproj/project.pbxproj"
XCCONFIG = MOBILE / "ios/Pager.xcconfig"
CRITICAL = "com.apple.developer.usernotifications.critical-alerts"


def plist(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = plistlib.loads(path.read_bytes())
    return read


@pytest.fixture(scope="module")
def project() -> XcodeProject:
    return XcodeProject.load(str(PROJECT))


def test_the_project_holds_an_app_and_the_extension_in_it(project: XcodeProject) -> None:
    targets = {one.name: one for one in project.objects.get_targets()}
    assert {name: one.productType for name, one in targets.items()} == {
        "App": "com.apple.product-type.application",
        "NotificationService": "com.apple.product-type.app-extension",
    }
    (embed,) = project.objects.get_objects_in_section("PBXCopyFilesBuildPhase")
    assert embed.dstSubfolderSpec == "13", "PlugIns, where iOS looks for extensions"
    assert [str(one) for one in embed.files] == [
        str(one.get_id())
        for one in project.objects.get_objects_in_section("PBXBuildFile")
        if "fileRef" in one and one.fileRef == targets["NotificationService"].productReference
    ]
    (needed,) = targets["App"].dependencies
    assert project.objects[needed].target == targets["NotificationService"].get_id()


def test_every_id_that_the_project_names_is_there(project: XcodeProject) -> None:
    defined = {one.get_id() for one in project.objects.get_objects_in_section(*project.objects.get_sections())}
    named = set(re.findall(r"\b[0-9A-F]{24}\b", text(PROJECT)))
    assert named == defined


def test_every_file_of_the_project_is_there() -> None:
    folders = {"App": IOS / "App", "NotificationService": IOS / "NotificationService"}
    generated = {"config.xml", "capacitor.config.json", "public"}  # by `cap sync`
    for name, path in re.findall(r"/\* ([^*]+) \*/ = \{isa = PBXFileReference;[^}]*?path = ([^;]+);", text(PROJECT)):
        place = path.strip('"')
        if place.endswith((".app", ".appex")) or place in generated:
            continue
        found = [root / place for root in (*folders.values(), IOS) if (root / place).exists()]
        assert found, name


def test_the_extension_links_what_needs_no_web_view(project: XcodeProject) -> None:
    products = {one.productName for one in project.objects.get_objects_in_section("XCSwiftPackageProductDependency")}
    assert products == {"CapApp-SPM", "PagerCore"}
    assert 'relativePath = "../../plugins/pager-alerts"' in text(PROJECT)
    for source in (PLUGIN / "ios/Sources/PagerCore").glob("*.swift"):
        assert not re.search(r"^import (UIKit|Capacitor|WebKit)", text(source), re.MULTILINE), source.name


def test_every_target_is_for_ios_15(project: XcodeProject) -> None:
    versions = re.findall(r"IPHONEOS_DEPLOYMENT_TARGET = ([\d.]+);", text(PROJECT))
    assert len(versions) == 6
    assert set(versions) == {"15.0"}
    assert ".iOS(.v15)" in text(PLUGIN / "Package.swift")


def test_what_a_build_is_made_for_is_said_in_one_place() -> None:
    said = dict(re.findall(r"^(\w+) =(?: (.*))?$", text(XCCONFIG), re.MULTILINE))
    used = set()
    files = [
        PROJECT,
        *(IOS / "App").glob("*.entitlements"),
        IOS / "App/Info.plist",
        *(IOS / "NotificationService").iterdir(),
    ]
    for path in files:
        used |= set(re.findall(r"\$\((PAGER_\w+)\)", text(path)))
    assert used | {"PAGER_BUNDLE_ID"} == {name for name in said if name.startswith("PAGER_")}
    assert "dev.pager.app" not in text(PROJECT)
    assert '#include "Pager.xcconfig"' in text(MOBILE / "ios/debug.xcconfig")
    assert "Pager.local.xcconfig" in text(MOBILE / "ios/.gitignore")


def test_it_asks_apple_for_what_it_needs_and_nothing_else() -> None:
    plain = plist(IOS / "App/App.entitlements")
    assert plain == {
        "aps-environment": "$(PAGER_APS)",
        "com.apple.developer.associated-domains": ["applinks:$(PAGER_HOST)"],
        "com.apple.developer.usernotifications.time-sensitive": True,
        "com.apple.security.application-groups": ["$(PAGER_APP_GROUP)"],
        "keychain-access-groups": ["$(AppIdentifierPrefix)$(PAGER_KEYCHAIN_GROUP)"],
    }
    assert plist(IOS / "App/AppCritical.entitlements") == plain | {CRITICAL: True}
    extension = plist(IOS / "NotificationService/NotificationService.entitlements")
    assert extension == {
        name: plain[name] for name in ("com.apple.security.application-groups", "keychain-access-groups")
    }


def test_the_app_says_what_it_uses_and_why() -> None:
    info = plist(IOS / "App/Info.plist")
    assert [one["CFBundleURLSchemes"] for one in info["CFBundleURLTypes"]] == [["pager"]]
    assert info["UIBackgroundModes"] == ["remote-notification"]
    assert {name for name in info if name.endswith("UsageDescription")} == {"NSFaceIDUsageDescription"}
    transport = info["NSAppTransportSecurity"]
    assert transport == {"NSExceptionDomains": {"localhost": {"NSExceptionAllowsInsecureHTTPLoads": True}}}
    extension = plist(IOS / "NotificationService/Info.plist")
    assert extension["NSExtension"]["NSExtensionPointIdentifier"] == "com.apple.usernotifications.service"
    for shared in ("PagerAppGroup", "PagerKeychainGroup"):
        assert info[shared] == extension[shared]
        assert f'"{shared}"' in text(PLUGIN / "ios/Sources/PagerCore/Shared.swift")


def test_what_it_collects_is_said_and_nobody_is_tracked() -> None:
    privacy = plist(IOS / "App/PrivacyInfo.xcprivacy")
    assert privacy["NSPrivacyTracking"] is False
    assert privacy["NSPrivacyTrackingDomains"] == []
    assert all(not one["NSPrivacyCollectedDataTypeTracking"] for one in privacy["NSPrivacyCollectedDataTypes"])


def test_the_apps_delegate_hands_on_what_comes_without_a_screen() -> None:
    source = text(IOS / "App/AppDelegate.swift")
    for call in ("start()", "registered(", "failed(", "woken(", "resume("):
        assert f"PagerCenter.shared.{call}" in source, call


def test_the_package_is_the_one_that_the_app_includes() -> None:
    package = text(IOS / "CapApp-SPM/Package.swift")
    assert '.package(name: "PagerAlerts", path: "../../../plugins/pager-alerts")' in package
    assert '.library(name: "PagerAlerts"' in text(PLUGIN / "Package.swift")
