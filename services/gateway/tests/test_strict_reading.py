"""Of every body that a route takes, each value in another JSON type is refused, by its name and in our words."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from libs.contracts.texts import ONE_LINE, SHORT_NAME
from services.gateway.body import MOST_VALUES, read_strictly
from services.gateway.envelope import Problem
from services.gateway.tests import views as v
from services.gateway.tests.described import described
from services.gateway.tests.stubs import World
from services.gateway.tests.test_routes import CASES, CREATE, LOGIN, REGISTER, Case

FREE = {"metadata"}
"""Objects of the caller's own."""
FOREIGN = re.compile(r"Input|Value error|tuple|dict|str\b|valid (string|integer|boolean)|pydantic|[a-z]_[a-z]")
"""How pydantic and Python talk."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT.*Z")
BODIES = [case for case in CASES if case.body]

Path = tuple[str | int, ...]


def values(body: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of a body with its place, the inner ones too."""
    if at:
        yield at, body
    if at[-1:] and at[-1] in FREE:
        return
    for key, inner in body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ():
        yield from values(inner, (*at, key))


def misread(value: Any) -> list[Any]:
    """What a lenient reader would take for the value, or for another of its type."""
    if isinstance(value, bool):
        return [0, 1, "true", "yes"]
    if isinstance(value, int | float):
        return [str(value), True]
    if isinstance(value, str):
        return [7, True, [value], *([1767225600, "1767225600", "2026-03-02"] if MOMENT.fullmatch(value) else [])]
    return ["x", 1, {} if isinstance(value, list) else []] if value is not None else []


def replaced(body: Any, at: Path, value: Any) -> Any:
    changed = inner = copy.deepcopy(body)
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return changed


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
async def test_a_value_of_another_type_is_refused_by_name(pager: World, case: Case) -> None:
    await pager.stubs.answer(case.operation, case.reply)
    for at, value in values(case.body):
        for wrong in misread(value):
            answer = await pager.call(case.method, f"/api/v1{case.path}", replaced(case.body, at, wrong))

            assert answer.status == 400, f"{at} took {wrong!r}"
            assert answer.error["details"]["field"] == ".".join(map(str, at))
            assert not FOREIGN.search(answer.error["details"]["reason"]), answer.error
    assert case.operation not in pager.stubs.asked


def test_whatever_is_shown_as_a_name_is_a_line_with_something_on_it() -> None:
    document = described()
    shown = {"name", "title", "firstName", "lastName", "deviceName", "dedupKey"}
    lines = (ONE_LINE, SHORT_NAME)

    def wanting(schema: Any, at: str) -> Iterator[str]:
        """Names of a request that may be blank."""
        if isinstance(schema, list):
            for inner in schema:
                yield from wanting(inner, at)
        if not isinstance(schema, dict):
            return
        if "$ref" in schema:
            yield from wanting(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], at)
        for name, field in schema.get("properties", {}).items():
            if name in shown and all(one.get("pattern") not in lines for one in [field, *field.get("anyOf", ())]):
                yield f"{at} {name}"
        for inner in schema.values():
            yield from wanting(inner, at)

    verbs = [(path, verb, one) for path, found in document["paths"].items() for verb, one in found.items()]
    assert [name for path, verb, one in verbs for name in wanting(one.get("requestBody"), f"{verb} {path}")] == []


@pytest.mark.parametrize("case", BODIES, ids=lambda case: case.name)
async def test_a_field_has_one_name(pager: World, case: Case) -> None:
    """Ours inside, in the style of Python, is none for callers: the schema does not show it."""
    for name in case.body:
        ours = re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
        if ours != name:
            body = {ours if key == name else key: value for key, value in case.body.items()}
            answer = await pager.call(case.method, f"/api/v1{case.path}", body)
            assert answer.status == 400, ours
            assert answer.error["details"]["field"] in (ours, name)


@pytest.mark.parametrize(
    ("path", "body", "field", "reason"),
    [
        ("/incidents", CREATE | {"title": " \t"}, "title", "must be one line of text that is not blank"),
        ("/incidents", CREATE | {"title": "\u200b\u3000"}, "title", "must be one line of text that is not blank"),
        ("/incidents", CREATE | {"title": "a\nb"}, "title", "must be one line of text that is not blank"),
        ("/incidents", CREATE | {"priority": "worst"}, "priority", "must be one of critical, high, medium, low"),
        ("/incidents", CREATE | {"escalationTimeoutMinutes": 0}, "escalationTimeoutMinutes", "must be at least 0.05"),
        ("/incidents", CREATE | {"metadata": {"a": "x" * 65_536}}, "metadata", "must be at most 65536 bytes as JSON"),
        ("/incidents", CREATE | {"colour": "red"}, "colour", "there is no such field"),
        ("/incidents", {}, "title", "is required"),
        ("/users", REGISTER | {"email": "a@b"}, "email", "must be a valid email address"),
        ("/users", REGISTER | {"email": "a@x..org"}, "email", "must be a valid email address"),
        ("/users", REGISTER | {"email": "a b@x.org"}, "email", "must be a valid email address"),
        ("/users", REGISTER | {"firstName": "  "}, "firstName", "must be one line of text that is not blank"),
        ("/users", REGISTER | {"firstName": "a\x1b[31m"}, "firstName", "must be one line of text that is not blank"),
        ("/users", REGISTER | {"phone": "abc"}, "phone", "must be a phone number in the form of E.164"),
        ("/users", REGISTER | {"phone": "030123456"}, "phone", "must be a phone number in the form of E.164"),
        ("/users", REGISTER | {"roles": []}, "roles", "must have at least 1 entry"),
        ("/users", REGISTER | {"roles": ["boss"]}, "roles.0", "must be one of user, lead, admin"),
        ("/users", REGISTER | {"teamIds": ["me"]}, "teamIds.0", "must be a UUID"),
        ("/on-call/schedules", {"name": "x", "layers": [v.LAYER | {"start": "2026-03-02T09:00Z"}]}, "layers.0.start",
         "must be a local time without an offset"),
        ("/auth/login", LOGIN | {"deviceId": "\u2028"}, "deviceId", "must be one line of text that is not blank"),
    ],
)  # fmt: skip
async def test_what_is_expected_of_a_value_is_said_in_our_words(
    pager: World, path: str, body: Any, field: str, reason: str
) -> None:
    answer = await pager.call("POST", f"/api/v1{path}", body)

    assert answer.status == 400
    assert answer.error["details"]["field"] == field
    assert answer.error["details"]["reason"].startswith(reason)
    assert not FOREIGN.search(answer.error["details"]["reason"])


@pytest.mark.parametrize("address", ["ana@pager.test", "ops@corp.local", "a@b.c", "josé@bücher.example", "a+b@x.org"])
@pytest.mark.parametrize("phone", ["+4930123456", "+15551234567", None])
async def test_addresses_and_phone_numbers_that_are_some_are_taken(
    pager: World, address: str, phone: str | None
) -> None:
    await pager.stubs.answer("auth.register_user", v.USER_VIEW)

    answer = await pager.call("POST", "/api/v1/users", REGISTER | {"email": address, "phone": phone})

    assert answer.status == 201, answer.raw


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("status=created&status=closed", "status", "is given twice"),
        ("page=1&page=1", "page", "is given twice"),
        (f"assigned_to={v.ID}&assignedTo={v.ID}", "assignedTo", "is given twice"),
        ("page=1.0", "page", "must be a whole number"),
        ("page=%201", "page", "must be a whole number"),
        ("limit=1_0", "limit", "must be a whole number"),
        ("limit=ten", "limit", "must be a whole number"),
        ("status=asleep", "status", "must be one of created, escalated, acknowledged, resolved, closed"),
        ("assigned_to=you", "assigned_to", "must be a UUID"),
    ],
)
async def test_what_is_expected_of_a_filter_is_said_in_our_words(
    pager: World, query: str, field: str, reason: str
) -> None:
    answer = await pager.call("GET", f"/api/v1/incidents?{query}")

    assert answer.status == 400
    assert answer.error["details"]["field"] == field
    assert answer.error["details"]["reason"].startswith(reason)


@pytest.mark.parametrize("at", ["1767225600", "2026-03-02", "2026-03-02T09:00:00", "now"])
async def test_a_moment_is_a_time_with_its_offset(pager: World, at: str) -> None:
    answer = await pager.call("GET", f"/api/v1/on-call?at={at}")

    assert answer.status == 400
    assert answer.error["details"]["field"] == "at"
    assert answer.error["details"]["reason"].startswith("must be an RFC 3339 time with its offset")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{" + "".join(f'"n{n}": 1, ' for n in range(60_000)) + '"n59999": 2}', "'n59999' is given twice"),
        ("[" + "[], " * MOST_VALUES + "[]]", "has more than 50000 values"),
        ("{" + ", ".join(f'"n{n}": {{}}' for n in range(MOST_VALUES)) + "}", "has more than 50000 values"),
    ],
    ids=["names", "values", "objects"],
)
def test_what_a_stranger_can_send_is_looked_through_once(body: str, words: str) -> None:
    """Whoever counted each name in all the others kept everybody waiting for a minute."""
    with pytest.raises(Problem) as refused:
        read_strictly(body.encode(), None)
    assert words in str(refused.value.detail)
