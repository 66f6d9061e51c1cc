"""Who may call what, and what they see."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Self, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Select

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.auth import (
    ConfirmTotp,
    Login,
    RecoveryCodes,
    Refresh,
    RegisterUser,
    RemoveTotp,
    Tokens,
    TotpSecret,
    UsersPage,
    UsersQuery,
    UserView,
)
from libs.contracts.model import Lane, Role, TeamRole
from libs.contracts.requests import ById, NotFound
from services.auth.api import api
from services.auth.device_credentials import DeviceCredentials
from services.auth.directory import Directory
from services.auth.erasing import Erasures
from services.auth.joining import Joining
from services.auth.key_exchange import KeyExchange
from services.auth.key_room import KeyRoom
from services.auth.oidc.sign_in import OidcSignIns
from services.auth.password_change import PasswordChanges
from services.auth.recovery import Recovery
from services.auth.refusals import Refusals
from services.auth.registration import Registration
from services.auth.second_factors import SecondFactors
from services.auth.sign_in import SignIns
from services.auth.team_uses import TeamUses

BO = UUID("00000000-0000-4000-8000-000000000001")
CY = UUID("00000000-0000-4000-8000-000000000002")
TEAM = UUID("00000000-0000-4000-8000-000000000003")


class Rows:
    """A `Work` that finds these people."""

    cursor = None

    def __init__(self, *ids: UUID, teams: tuple[UUID, ...] = ()) -> None:
        self.rows = [
            {
                "id": i,
                "last": "Y",
                "first": "X",
                "email": "x@example.com",
                "first_name": "X",
                "last_name": "Y",
                "phone": "+4512345",
                "timezone": "UTC",
                "roles": ["user"],
                "teams": [{"id": team, "name": "Core", "role": "member"} for team in teams],
                "is_active": True,
                "version": 1,
                "updated_at": None,
                "roles_given_by": None,
                "roles_given_at": None,
                "email_verified": False,
                "created_at": datetime(2026, 1, 1, tzinfo=UTC),
            }
            for i in ids
        ]

    @property
    def log(self) -> Self:
        return self

    def last_position(self, _cursor: None, _lane: Lane) -> int:
        return len(self.rows)

    def fetch(self, statement: Select[Any], **_parameters: object) -> list[dict[str, Any]]:
        counts = [column.name for column in statement.selected_columns] == ["total"]
        return [{"total": len(self.rows)}] if counts else self.rows


def caller(*roles: Role, user_id: UUID = BO) -> Caller:
    return Caller(user_id, frozenset(roles), uuid4(), "phone", datetime(2026, 3, 2, 9, 15, tzinfo=UTC))


@pytest.fixture
def requests() -> Requests:
    # Nothing behind the door: these tests end at it.
    return api(
        cast("SignIns", None),
        cast("Registration", None),
        cast("PasswordChanges", None),
        cast("Joining", None),
        cast("Recovery", None),
        cast("SecondFactors", None),
        cast("KeyRoom", None),
        cast("Refusals", None),
        cast("TeamUses", None),
        cast("Erasures", None),
        Directory(lambda: b"k" * 32),
        cast("OidcSignIns", None),
        cast("KeyExchange", None),
        cast("DeviceCredentials", None),
    )


def test_only_signing_in_refreshing_and_what_is_said_of_keys_need_no_token(requests: Requests) -> None:
    """The bus lets operators alone ask for what is said of keys, and the gateway for the last ones."""
    public = {name for name, operation in requests.operations.items() if operation.action is None}
    links = {"register", "forgot_password", "reset_password", "verify_email"}
    operators = {"signing_keys", "rotate_keys"}
    provider = {"sign_in_methods", "oidc_start", "oidc_return", "oidc_token"}
    gateway = {"keep_accesses", "key_marks", "exchange_key", "exchange_device", "present", "leave_browser"}
    gateway |= {"doors"}
    assert public == ({"login", "captcha", "refresh", "keys", "person_keys"} | operators | links | provider | gateway)
    assert set(requests.operations) - public == {
        "logout",
        "maintenance",
        "set_maintenance",
        "features",
        "set_feature",
        "roll_out_feature",
        "revoke_token",
        "sessions",
        "end_session",
        "end_sessions",
        "lose_device",
        "erase_user",
        "export",
        "part_identities",
        "register_user",
        "change_me",
        "change_user",
        "deactivate_user",
        "reactivate_user",
        "users",
        "name",
        "user",
        "me",
        "audit",
        "register_device",
        "remove_device",
        "device",
        "devices",
        "change_password",
        "unlock",
        "invite",
        "invites",
        "resend_invite",
        "get_invite",
        "revoke_invite",
        "reset_link",
        "ask_to_verify",
        "second_factor",
        "begin_totp",
        "confirm_totp",
        "remove_totp",
        "take_totp",
        "teams",
        "team",
        "create_team",
        "change_team",
        "delete_team",
        "members",
        "set_member",
        "change_member",
        "member",
        "remove_member",
        "create_api_key",
        "api_keys",
        "api_key",
        "change_api_key",
        "revoke_api_key",
        "take_over_api_key",
        "add_api_key_secret",
        "remove_api_key_secret",
    }


@pytest.mark.parametrize(
    ("roles", "phones"),
    [
        ((Role.USER,), ["+4512345", None]),
        ((Role.LEAD,), ["+4512345", "+4512345"]),
        ((Role.ADMIN,), ["+4512345", "+4512345"]),
    ],
)
def test_a_colleagues_number_is_for_leads_and_admins(
    requests: Requests, roles: tuple[Role, ...], phones: list[str | None]
) -> None:
    work = cast("Work", Rows(BO, CY))
    page: UsersPage = requests.operations["users"].handle(work, UsersQuery(), caller(*roles))
    assert [user.phone for user in page.users] == phones
    assert page.total == 2
    view: UserView = requests.operations["user"].handle(cast("Work", Rows(CY)), ById(id=CY), caller(*roles))
    assert view.phone == phones[1]
    manager = replace(caller(*roles), teams={TEAM: TeamRole.MANAGER})
    theirs = requests.operations["user"].handle(cast("Work", Rows(CY, teams=(TEAM,))), ById(id=CY), manager)
    assert theirs.phone == phones[1], "a manager puts whom they like into their team"
    assert requests.operations["user"].handle(cast("Work", Rows(CY)), ById(id=CY), manager).phone == phones[1]
    unsure = replace(caller(*roles), certain=False)  # nothing was heard of sessions for long
    assert requests.operations["user"].handle(cast("Work", Rows(CY)), ById(id=CY), unsure).phone is None


def test_nobody_is_not_found(requests: Requests) -> None:
    with pytest.raises(NotFound):
        requests.operations["user"].handle(cast("Work", Rows()), ById(id=CY), caller(Role.USER))


def test_no_secret_shows_in_the_representation_of_a_request_or_an_answer() -> None:
    messages = (
        Login(email="bo@example.com", password="hunter2", device_id="d", push_token="hunter2"),
        Refresh(refresh_token="hunter2", device_id="d"),
        Login(email="bo@example.com", password="x", device_id="d", totp="hunter2"),
        ConfirmTotp(code="hunter2"),
        RemoveTotp(code="hunter2", current_password="hunter2"),
        TotpSecret(secret="hunter2", uri="hunter2"),
        RecoveryCodes(recovery_codes=("hunter2",)),
        RegisterUser(email="bo@example.com", password="hunter2", first_name="Bo", last_name="Ek"),
        Tokens(access_token="hunter2", refresh_token="hunter2", expires_in=900),
    )
    assert not [message for message in messages if "hunter2" in repr(message)]
