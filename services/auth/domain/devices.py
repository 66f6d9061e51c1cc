"""Devices: the phones and browsers on which a person can be paged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from libs.contracts.auth import DeviceAdded, DeviceRegistered, DeviceRemoved, Platform
from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Fact
from libs.contracts.requests import Invalid
from libs.contracts.web_push import BROWSERS, PushServices, Subscription
from services.auth.domain.text import check_text

_APNS_TOKEN = re.compile(r"[0-9a-fA-F]{64}")
_TOKENS = {
    # Of any length (Apple: "don't assume it"), in whole bytes; ours goes into the path of a request.
    Platform.IOS: (re.compile(r"([0-9a-fA-F]{2}){16,200}"), "must be an APNs token: 32 to 400 hexadecimal digits"),
    Platform.ANDROID: (
        re.compile(r"[A-Za-z0-9_:.-]{8,4096}"),
        "must be an FCM token: 8 or more of A-Z a-z 0-9 _ : . -",
    ),
}
"""What the vendors make. A browser's subscription is a document of its own (`libs/contracts/web_push.py`)."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Never registered, or removed."""


@dataclass(frozen=True, slots=True)
class Held:
    """A person's device, as last registered."""

    user_id: UUID
    device_id: str
    name: str
    platform: Platform
    push_token: str
    registered_at: datetime


State = Absent | Held


@dataclass(frozen=True, slots=True)
class RegisterDevice:
    user_id: UUID
    device_id: str
    name: str
    platform: Platform
    push_token: str
    now: datetime
    services: PushServices = BROWSERS
    """Whose subscriptions a browser may have."""


@dataclass(frozen=True, slots=True)
class RemoveDevice:
    reason: str


Command = RegisterDevice | RemoveDevice


def device_entity(user_id: UUID, device_id: str) -> UUID:
    """The entity of one person's device; the person's id has a fixed length, so no two pairs are confused."""
    return uuid5(PAGER, f"device/{user_id}/{device_id}")


def guess_platform(push_token: str) -> Platform:
    """64 hex digits are an APNs token, anything else is taken for FCM's."""
    return Platform.IOS if _APNS_TOKEN.fullmatch(push_token) else Platform.ANDROID


def one_spelling(platform: Platform, push_token: str) -> str:
    """Apple's tokens are hexadecimal: in capitals or not, they are one token. Google's are told apart by case.

    Raises Invalid where a browser's subscription is none.
    """
    if platform is Platform.WEB:
        return _subscription(push_token).text
    return push_token.lower() if platform is Platform.IOS else push_token


def initial() -> State:
    return Absent()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case DeviceRegistered():
            return Held(
                user_id=fact.user_id,
                device_id=fact.device_id,
                name=fact.name,
                platform=fact.platform,
                push_token=fact.push_token,
                registered_at=fact.registered_at,
            )
        case DeviceRemoved():
            return Absent()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """Raises Invalid with the field at fault."""
    match command, state:
        case RegisterDevice(), Held() if _is_held(command, state):
            return []
        case RegisterDevice(), _:
            check_text(command.device_id, "deviceId")
            check_text(command.name, "deviceName")
            check_token(command.platform, command.push_token, command.services)
            return [
                DeviceRegistered(
                    user_id=command.user_id,
                    device_id=command.device_id,
                    name=command.name,
                    platform=command.platform,
                    push_token=one_spelling(command.platform, command.push_token),
                    registered_at=command.now,
                ),
                DeviceAdded(user_id=command.user_id, device_id=command.device_id),
            ]
        case RemoveDevice(reason=reason), Held(user_id=user_id, device_id=device_id):
            return [DeviceRemoved(user_id=user_id, device_id=device_id, reason=reason)]
        case _:
            return []


def check_token(platform: Platform, push_token: str, services: PushServices) -> None:
    """A token that no vendor makes would be found out by the page that does not arrive. Raises Invalid."""
    if platform is Platform.WEB:
        subscription = _subscription(push_token)
        try:
            services.check(subscription)
        except ValueError as error:
            raise Invalid(str(error), field="pushToken") from None
        return
    check_text(push_token, "pushToken")
    form, expected = _TOKENS[platform]
    if not form.fullmatch(push_token):
        raise Invalid(expected, field="pushToken")


def _subscription(push_token: str) -> Subscription:
    try:
        return Subscription.read(push_token)
    except ValueError as error:
        raise Invalid(str(error), field="pushToken") from None


def _is_held(command: RegisterDevice, state: Held) -> bool:
    """The same command again. Said later it is news: a token that its vendor refused meanwhile is good again."""
    token = one_spelling(command.platform, command.push_token)
    same = (command.name, command.platform, token) == (state.name, state.platform, state.push_token)
    return same and command.now <= state.registered_at
