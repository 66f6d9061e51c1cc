"""People: who may be registered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from libs.contracts.addresses import one_address
from libs.contracts.auth import LockoutLifted, PasswordChanged, PasswordReset, UserRegistered
from libs.contracts.envelope import Fact
from libs.contracts.model import Role
from libs.contracts.requests import Invalid, NotFound
from services.auth.domain.text import check_text


@dataclass(frozen=True, slots=True)
class Unregistered:
    pass


@dataclass(frozen=True, slots=True)
class Registered:
    user_id: UUID


State = Unregistered | Registered


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """`email` is stored in one form, however it is typed; `timezone` is a name of the IANA database."""

    user_id: UUID
    email: str
    first_name: str
    last_name: str
    roles: tuple[Role, ...]
    phone: str | None = None
    timezone: str = "UTC"
    team_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Another password; which one is nobody's business here."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """By its owner, in this session."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class LiftLockout:
    user_id: UUID


Command = RegisterUser | ResetPassword | ChangePassword | LiftLockout


def initial() -> State:
    return Unregistered()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case UserRegistered(user_id=user_id):
            return Registered(user_id)
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """Raises Invalid with the field at fault, or NotFound."""
    match command, state:
        case RegisterUser(), Unregistered():
            _check(command)
            return [
                UserRegistered(
                    user_id=command.user_id,
                    email=one_address(command.email),
                    first_name=command.first_name,
                    last_name=command.last_name,
                    phone=command.phone,
                    timezone=command.timezone,
                    roles=tuple(dict.fromkeys(command.roles)),
                    team_ids=tuple(dict.fromkeys(command.team_ids)),
                )
            ]
        case ((ResetPassword(user_id) | ChangePassword(user_id) | LiftLockout(user_id)), Unregistered()):
            raise NotFound(f"there is no user {user_id}")
        case ResetPassword(user_id), Registered():
            return [PasswordReset(user_id=user_id)]
        case ChangePassword(user_id, session_id), Registered():
            return [PasswordChanged(user_id=user_id, session_id=session_id)]
        case LiftLockout(user_id), Registered():
            return [LockoutLifted(user_id=user_id)]
        case _:
            return []


def _check(command: RegisterUser) -> None:
    check_text(one_address(command.email), "email")
    check_text(command.first_name, "firstName")
    check_text(command.last_name, "lastName")
    check_text(command.phone or "", "phone")
    if not command.roles:
        raise Invalid("at least one role is needed", field="roles")
    if command.timezone not in _timezones():
        raise Invalid("must be a time zone of the IANA database, such as Europe/Berlin", field="timezone")


@cache
def _timezones() -> frozenset[str]:
    # The machine's own zone and the placeholder of an unset one are files of the database, but name no place.
    return frozenset(available_timezones() - {"localtime", "Factory"})
