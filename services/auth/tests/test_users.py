"""Who may be registered, what of people changes, and who may not go."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.chassis.testing.examples import examples
from libs.chassis.testing.given import Given
from libs.contracts.auth import (
    PasswordReset,
    RolesChanged,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Actor
from libs.contracts.model import Role
from libs.contracts.requests import Invalid, NotFound
from services.auth.domain.users import (
    ChangeUser,
    DeactivateUser,
    LastAdmin,
    ReactivateUser,
    Registered,
    RegisterUser,
    ResetPassword,
    decide,
    evolve,
    initial,
)
from services.auth.entities import USERS
from services.auth.registration import admin_id

BO = UUID("00000000-0000-4000-8000-000000000001")
ADMIN = Actor.user(UUID("00000000-0000-4000-8000-00000000000a"))
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


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


def test_roles_are_kept_once_in_their_order() -> None:
    (fact,) = Given(USERS, []).when(register(roles=(Role.LEAD, Role.USER, Role.LEAD))).facts
    assert isinstance(fact, UserRegistered)
    assert fact.roles == (Role.LEAD, Role.USER)


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


def changed(**changes: Any) -> ChangeUser:
    return ChangeUser(user_id=BO, by=ADMIN, now=NOW, **changes)


def profile(**changes: Any) -> UserChanged:
    before = registered()
    fields = {name: getattr(before, name) for name in ("user_id", "first_name", "last_name", "phone", "timezone")}
    return UserChanged(**(fields | changes))


def with_roles(version: int, *roles: Role) -> RolesChanged:
    return RolesChanged(user_id=BO, roles=roles, by=ADMIN, at=NOW, version=version)


AN_ADMIN = registered().model_copy(update={"roles": (Role.ADMIN, Role.USER)})
GONE = UserDeactivated(user_id=BO, by=ADMIN, at=NOW)
BACK = UserReactivated(user_id=BO, by=ADMIN, at=NOW)


def test_a_change_says_the_whole_profile_and_what_stays_the_same_is_no_change() -> None:
    Given(USERS, [registered()]).when(changed(first_name="Bob")).then([profile(first_name="Bob")])
    with_phone = Given(USERS, [registered()]).when(changed(phone="+4512345678")).then([profile(phone="+4512345678")])
    with_phone.when(changed(last_name="Ek")).then_nothing()
    with_phone.when(changed(phone=None)).then([profile()])
    with_phone.when(changed(roles=(Role.USER, Role.USER))).then_nothing()
    Given(USERS, []).when(changed(first_name="Bob")).then_rejected(NotFound)


def test_roles_say_who_gave_them_and_of_which_version_tokens_are_from_then_on() -> None:
    both = Given(USERS, [registered()]).when(changed(first_name="Bob", roles=(Role.LEAD,)))
    known = both.then([profile(first_name="Bob"), with_roles(3, Role.LEAD)])
    state = known.state()
    assert isinstance(state, Registered)
    assert (state.version, state.roles) == (3, (Role.LEAD,))
    known.when(ResetPassword(BO)).then([PasswordReset(user_id=BO)]).when(changed(roles=(Role.USER,))).then(
        [with_roles(4, Role.USER)]
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"roles": ()}, "roles"),
        ({"first_name": "Bo\n"}, "firstName"),
        ({"last_name": "\x1bEk"}, "lastName"),
        ({"phone": "+45\0"}, "phone"),
        ({"timezone": "Mars/Base"}, "timezone"),
    ],
)
def test_a_change_to_what_cannot_be_is_refused_by_its_name_on_the_wire(changes: dict[str, Any], field: str) -> None:
    assert Given(USERS, [registered()]).when(changed(**changes)).then_rejected(Invalid).field == field


def test_whoever_is_deactivated_or_reactivated_twice_is_so_once() -> None:
    gone = Given(USERS, [registered()]).when(DeactivateUser(BO, ADMIN, NOW)).then([GONE])
    gone.when(DeactivateUser(BO, ADMIN, NOW)).then_nothing()
    back = gone.when(ReactivateUser(BO, ADMIN, NOW)).then([BACK])
    back.when(ReactivateUser(BO, ADMIN, NOW)).then_nothing()
    for command in (DeactivateUser(BO, ADMIN, NOW), ReactivateUser(BO, ADMIN, NOW)):
        Given(USERS, []).when(command).then_rejected(NotFound)


def test_the_last_active_admin_stays_one() -> None:
    given = Given(USERS, [AN_ADMIN])
    given.when(DeactivateUser(BO, ADMIN, NOW)).then_rejected(LastAdmin)
    assert given.when(changed(roles=(Role.LEAD,))).then_rejected(LastAdmin).field == "roles"
    given.when(changed(roles=(Role.LEAD, Role.ADMIN))).then_types(RolesChanged)
    given.when(DeactivateUser(BO, ADMIN, NOW, other_admins=True)).then([GONE]).when(
        changed(roles=(Role.USER,))  # they are none of the active ones any more
    ).then_types(RolesChanged)


class People(RuleBasedStateMachine):
    """Whatever admins do to one another, in whatever order: one active admin is left, and versions only grow."""

    @initialize()
    def begin(self) -> None:
        self.states: dict[UUID, Registered] = {}
        for number in range(3):
            fact = registered().model_copy(update={"user_id": UUID(int=number), "roles": (Role.ADMIN,)})
            state = evolve(initial(), fact)
            assert isinstance(state, Registered)
            self.states[state.user_id] = state

    def _admins(self) -> set[UUID]:
        return {u for u, s in self.states.items() if s.is_active and Role.ADMIN in s.roles}

    @rule(
        user=st.integers(0, 2).map(lambda n: UUID(int=n)),
        kind=st.sampled_from([DeactivateUser, ReactivateUser, ChangeUser]),
        roles=st.sets(st.sampled_from(Role), min_size=1).map(tuple),
    )
    def somebody_is_changed(self, user: UUID, kind: type[Any], roles: tuple[Role, ...]) -> None:
        more: dict[str, Any] = {} if kind is ReactivateUser else {"other_admins": bool(self._admins() - {user})}
        more |= {"roles": roles} if kind is ChangeUser else {}
        before = self.states[user]
        try:
            facts = decide(kind(user_id=user, by=ADMIN, now=NOW, **more), before)
        except LastAdmin:
            assert self._admins() == {user}
            return
        for fact in facts:
            after = evolve(self.states[user], fact)
            assert isinstance(after, Registered)
            assert after.version == self.states[user].version + 1
            self.states[user] = after

    @invariant()
    def an_admin_is_left(self) -> None:
        assert self._admins()


TestPeople = People.TestCase
TestPeople.settings = settings(max_examples=examples(50), stateful_step_count=20, deadline=None)
