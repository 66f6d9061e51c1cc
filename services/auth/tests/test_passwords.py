"""Password rules and bcrypt."""

import asyncio
import threading

import bcrypt
import pytest

from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.requests import ErrorKind, Invalid, Rejected
from services.auth.passwords import KEPT, LINE, Busy, OldPassword, Passwords, check_password

GOOD = "Correct-Horse-7"


@pytest.mark.parametrize("password", [GOOD, "Äpfel&Birnen4you", "long Password with 1 space!"])
def test_good_passwords_pass(password: str) -> None:
    check_password(password)


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("aB3$aB3$aB3", "12 characters"),
        ("CORRECT-HORSE-7", "a lower-case letter"),
        ("correct-horse-7", "an upper-case letter"),
        ("Correct-Horse-X", "a number"),
        ("CorrectHorse777", "a symbol"),
        ("Correct Horse 7", "a symbol"),
        ("", "12 characters, a lower-case letter, an upper-case letter, a number, a symbol"),
    ],
)
def test_a_weak_password_is_refused_with_everything_that_it_lacks(password: str, missing: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_password(password)
    assert refused.value.field == "password"
    assert str(refused.value) == f"the password needs at least {missing}"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(rounds=4)


async def test_only_the_right_password_fits_its_hash(passwords: Passwords) -> None:
    known = await passwords.hash(GOOD)
    assert await passwords.verify(GOOD, known)
    assert not await passwords.verify(GOOD + "x", known)
    assert not await passwords.verify("", known)


async def test_the_same_password_has_another_hash_for_each_person(passwords: Passwords) -> None:
    assert await passwords.hash(GOOD) != await passwords.hash(GOOD)


@pytest.mark.parametrize(
    "password",
    ["Password123!", "P@ssw0rd1234", "Qwertyuiop1!", "Aa1!Aa1!Aa1!", "Aa1!aaaaaaaa", "Caf\u00e9-Caf\u00e9-77"],
)
def test_what_many_people_take_is_refused_however_many_kinds_of_characters_it_has(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_password(password)
    assert refused.value.field == "password"
    assert str(refused.value).startswith("the password is too easy to guess")
    assert password not in str(refused.value)


def test_what_is_known_of_its_owner_makes_a_password_no_better() -> None:
    check_password("Beeblebrox-12", ("trillian@pager.test", "Trillian", "Astra"))
    with pytest.raises(Invalid):
        check_password("Beeblebrox-12", ("zaphod.beeblebrox@pager.test", "Zaphod", "Beeblebrox"))


@pytest.mark.parametrize("length", [64, 1024])
@pytest.mark.parametrize("piece", ["aB1!", "1a", "P@ssw0rd!", "q1W!e2R?", "(4@8{[<6"])
def test_of_a_long_password_a_bounded_part_is_judged(piece: str, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def spy(password: str, **_more: object) -> dict[str, object]:
        judged.append(password)
        return {"score": 4, "feedback": {"warning": ""}}

    monkeypatch.setattr("services.auth.passwords.zxcvbn", spy)
    check_password((piece * length)[: length - 4] + "aB1!")
    assert [len(part) for part in judged] == [64]


async def test_a_person_keeps_a_salt_so_that_one_hash_tells_that_a_password_is_none_of_five(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = [await passwords.hash(GOOD)]
    for number in range(4):
        former.insert(0, await passwords.hash(f"{GOOD}-{number}", former))
    made: list[bytes] = []
    real = bcrypt.hashpw

    def spy(password: bytes, salt: bytes) -> bytes:
        made.append(salt)
        return real(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", spy)
    new = await passwords.hash(f"{GOOD}-new", former)
    assert (len(made), len({old[:29] for old in (new, *former)})) == (1, 1)
    for old in (GOOD, *(f"{GOOD}-{number}" for number in range(4))):
        with pytest.raises(OldPassword):
            await passwords.hash(old, former)


async def test_a_new_password_is_hashed_as_the_settings_say_and_compared_with_what_they_said_before() -> None:
    old = await Passwords(rounds=4).hash(GOOD)
    passwords = Passwords(rounds=5)
    assert (await passwords.hash(f"{GOOD}-2", [old])).startswith("$2b$05$")
    with pytest.raises(OldPassword):
        await passwords.hash(GOOD, [old])


async def test_characters_beyond_bcrypts_72_bytes_and_after_a_nul_count(passwords: Passwords) -> None:
    long = "Aa1!" * 30
    known = await passwords.hash(long + "x")
    assert not await passwords.verify(long + "y", known)
    known = await passwords.hash("Aa1!\0x")
    assert not await passwords.verify("Aa1!\0y", known)


async def test_the_same_letters_composed_differently_are_the_same_password(passwords: Passwords) -> None:
    known = await passwords.hash("Caf\u00e9-Caf\u00e9-77")
    assert await passwords.verify("Cafe\u0301-Cafe\u0301-77", known)


async def test_nobodys_password_is_checked_at_full_cost_and_never_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[bytes] = []
    real = bcrypt.checkpw

    def spy(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", spy)
    assert not await Passwords(rounds=5).verify(GOOD, None)
    assert checked[0].startswith(b"$2b$05$")
    assert len(checked[0]) == 60


async def test_the_rounds_are_in_the_hash() -> None:
    assert (await Passwords(rounds=5).hash(GOOD)).startswith("$2b$05$")


async def test_one_is_hashed_at_a_time_and_whoever_would_wait_too_long_is_told_so_at_once(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, go, at_once = await passwords.hash(GOOD), threading.Event(), list[int]()
    real, running = bcrypt.checkpw, threading.Semaphore(1)

    def held(password: bytes, hashed: bytes) -> bool:
        at_once.append(running.acquire(blocking=False))
        assert go.wait(DEADLINE)
        running.release()
        return real(password, hashed)

    async def looked_at(*, stranger: bool) -> bool:
        with passwords.place(stranger=stranger):
            return await passwords.verify(GOOD, known)

    monkeypatch.setattr(bcrypt, "checkpw", held)
    monkeypatch.setattr("services.auth.passwords.PATIENCE", DEADLINE)
    waiting = [asyncio.create_task(looked_at(stranger=True)) for _ in range(LINE - KEPT)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await looked_at(stranger=True)
    # Whoever has signed in from where they are still finds a place.
    waiting += [asyncio.create_task(looked_at(stranger=False)) for _ in range(KEPT)]
    await asyncio.sleep(0)
    with pytest.raises(Busy) as refused:
        await looked_at(stranger=False)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
    go.set()
    assert await asyncio.gather(*waiting) == [True] * LINE
    assert at_once == [True] * LINE
    assert await looked_at(stranger=True), "the line is free again"


async def test_whoever_has_waited_for_too_long_is_not_looked_at_any_more(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await passwords.hash(GOOD)
    monkeypatch.setattr("services.auth.passwords.PATIENCE", -1.0)
    answers = await asyncio.gather(*(passwords.verify(GOOD, known) for _ in range(4)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [bool, Busy, Busy, Busy]
    assert await passwords.verify(GOOD, known), "nobody was waited for"


async def test_strangers_wait_behind_whoever_is_at_home(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    known, go, order = await passwords.hash(GOOD), threading.Event(), list[str]()
    real = bcrypt.checkpw

    def held(password: bytes, hashed: bytes) -> bool:
        assert go.wait(DEADLINE)
        return real(password, hashed)

    async def looked_at(name: str, *, stranger: bool) -> None:
        await passwords.verify(GOOD, known, stranger=stranger)
        order.append(name)

    monkeypatch.setattr(bcrypt, "checkpw", held)
    waiting = []
    for name, stranger in (("first", True), ("second", True), ("gone", False), ("third", True), ("home", False)):
        waiting.append(asyncio.create_task(looked_at(name, stranger=stranger)))
        await asyncio.sleep(0)
    waiting.pop(2).cancel()
    go.set()
    await asyncio.gather(*waiting)
    assert order == ["first", "home", "second", "third"]


async def test_a_stopping_replica_says_so(passwords: Passwords) -> None:
    passwords.close()
    with pytest.raises(Rejected) as refused:
        await passwords.verify(GOOD, None)
    assert refused.value.kind is ErrorKind.UNAVAILABLE
