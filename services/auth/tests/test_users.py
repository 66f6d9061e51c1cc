"""Who may be registered."""

from uuid import UUID, uuid4

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.auth import PasswordReset, UserRegistered
from libs.contracts.model import Role
from libs.contracts.requests import Invalid, NotFound
from services.auth.application import USERS
from services.auth.domain.users import RegisterUser, ResetPassword
from services.auth.registration import admin_id

BO = UUID("00000000-0000-4000-8000-000000000001")


def register(**changes: object) -> RegisterUser:
    fields: dict[str, object] = {
        "user_id": BO,
        "email": "Bo@Example.com",
        "first_name": "Bo",
        "last_name": "Ek",
        "roles": (Role.USER,),
        "timezone": "Europe/Copenhagen",
    }
    return RegisterUser(**(fields | changes))  # type: ignore[arg-type]


def registered() -> UserRegistered:
    return UserRegistered(
        user_id=BO,
        email="bo@example.com",
        first_name="Bo",
        last_name="Ek",
        phone=None,
        timezone="Europe/Copenhagen",
        roles=(Role.USER,),
    )


def test_a_person_is_registered_with_the_address_in_its_one_form() -> None:
    Given(USERS, []).when(register()).then([registered()])


@pytest.mark.parametrize("typed", ["Zo\u00eb@x.org ", " Zoe\u0308@x.org", "\u00a0ZOE\u0308@X.org\t", "ZO\u00cb@x.org"])
def test_spaces_capitals_and_how_letters_are_composed_tell_no_addresses_apart(typed: str) -> None:
    (fact,) = Given(USERS, []).when(register(email=typed)).facts
    assert isinstance(fact, UserRegistered)
    assert fact.email == "zo\u00eb@x.org"
    assert admin_id(typed) == admin_id("zo\u00eb@x.org")


def test_registering_again_decides_nothing() -> None:
    Given(USERS, [registered()]).when(register()).then_nothing()


def test_roles_and_teams_are_kept_once_in_their_order() -> None:
    team = uuid4()
    command = register(roles=(Role.LEAD, Role.USER, Role.LEAD), team_ids=(team, team))
    (fact,) = Given(USERS, []).when(command).facts
    assert isinstance(fact, UserRegistered)
    assert (fact.roles, fact.team_ids) == ((Role.LEAD, Role.USER), (team,))


@pytest.mark.parametrize("timezone", ["Mars/Base", "", "localtime", "Factory", "../../etc/passwd", "europe/berlin"])
def test_a_time_zone_that_is_not_of_the_iana_database_is_refused(timezone: str) -> None:
    assert Given(USERS, []).when(register(timezone=timezone)).then_rejected(Invalid).field == "timezone"


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata"])
def test_time_zones_of_the_iana_database_are_accepted(timezone: str) -> None:
    Given(USERS, []).when(register(timezone=timezone)).then_types(UserRegistered)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"roles": ()}, "roles"),
        ({"email": "bo\0@example.com"}, "email"),
        ({"first_name": "Bo\n"}, "firstName"),
        ({"last_name": "\x1bEk"}, "lastName"),
        ({"phone": "+45\0"}, "phone"),
    ],
)
def test_a_bad_field_is_refused_by_its_name_on_the_wire(changes: dict[str, object], field: str) -> None:
    assert Given(USERS, []).when(register(**changes)).then_rejected(Invalid).field == field


def test_the_first_admins_id_follows_from_the_address_in_any_case() -> None:
    assert admin_id("Admin@Example.com") == admin_id("admin@example.com") != admin_id("other@example.com")


def test_a_password_is_reset_each_time_it_is_asked_for_of_somebody_who_is_there() -> None:
    reset = PasswordReset(user_id=BO)
    Given(USERS, [registered()]).when(ResetPassword(BO)).then([reset])
    Given(USERS, [registered(), reset]).when(ResetPassword(BO)).then([reset])
    Given(USERS, []).when(ResetPassword(BO)).then_rejected(NotFound)
