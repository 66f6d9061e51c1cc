"""Sessions, from the sign-in to their end."""

from uuid import UUID

from libs.chassis.testing.given import Given
from libs.contracts.auth import SessionEnded, SignedIn, SignInRefused
from libs.contracts.requests import Invalid
from services.auth.domain.sessions import EndMachineSession, EndSession, RefuseSignIn, SignIn
from services.auth.entities import SESSIONS

BO = UUID("00000000-0000-4000-8000-000000000001")
SESSION = UUID("00000000-0000-4000-8000-00000000000a")
SIGN_IN = SignIn(BO, SESSION, "phone")
SIGNED_IN = SignedIn(user_id=BO, session_id=SESSION, device_id="phone")
REFUSED = SignInRefused(user_id=BO, reason="wrong password")
ENDED = SessionEnded(user_id=BO, session_id=SESSION, reason="signed out")


def test_a_sign_in_begins_a_session() -> None:
    Given(SESSIONS, []).when(SIGN_IN).then([SIGNED_IN])


def test_a_wrong_password_is_recorded_for_the_account() -> None:
    Given(SESSIONS, []).when(RefuseSignIn(BO, "wrong password")).then([REFUSED])


def test_a_session_ends_with_its_reason() -> None:
    Given(SESSIONS, [SIGNED_IN]).when(EndSession("signed out")).then([ENDED])


def test_a_session_ends_once_and_the_first_reason_stands() -> None:
    Given(SESSIONS, [SIGNED_IN, ENDED]).when(EndSession("refresh token reused")).then_nothing()


def test_repeating_a_sign_in_or_a_refusal_decides_nothing() -> None:
    Given(SESSIONS, [SIGNED_IN]).when(SIGN_IN).then_nothing()
    Given(SESSIONS, [REFUSED]).when(RefuseSignIn(BO, "wrong password")).then_nothing()


def test_a_session_that_is_over_or_was_refused_does_not_begin_again() -> None:
    Given(SESSIONS, [SIGNED_IN, ENDED]).when(SIGN_IN).then_nothing()
    Given(SESSIONS, [REFUSED]).when(SIGN_IN).then_nothing()


def test_what_never_began_cannot_end_and_a_signed_in_person_is_not_refused() -> None:
    Given(SESSIONS, []).when(EndSession("signed out")).then_nothing()
    Given(SESSIONS, [REFUSED]).when(EndSession("signed out")).then_nothing()
    Given(SESSIONS, [SIGNED_IN]).when(RefuseSignIn(BO, "wrong password")).then_nothing()


def test_a_device_id_with_control_characters_is_refused() -> None:
    rejected = Given(SESSIONS, []).when(SignIn(BO, SESSION, "a\0b")).then_rejected(Invalid)
    assert rejected.field == "deviceId"


def test_a_machines_session_only_ends_and_once() -> None:
    end = EndMachineSession(BO, SESSION, "API key revoked")
    over = Given(SESSIONS, []).when(end).then([SessionEnded(user_id=BO, session_id=SESSION, reason="API key revoked")])
    over.when(end).then_nothing()
    Given(SESSIONS, [SIGNED_IN]).when(end).then_nothing()
