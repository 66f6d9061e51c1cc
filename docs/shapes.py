"""Two versions of a JSON schema: what does one that was made for the older not bear of the newer?

What clients send has to be taken as before; of what they get nothing may be missing or of another kind. They ignore
what they do not know (docs/api.md): new fields, new words of a choice and new kinds of objects break nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

NAMED: Final = frozenset({"properties", "schemas", "messages", "channels", "operations", "headers", "paths", "$defs"})
"""Keys below which keys are names."""
_MOST: Final = ("maxLength", "maxItems", "maximum", "exclusiveMaximum", "maxProperties")
_LEAST: Final = ("minLength", "minItems", "minimum", "exclusiveMinimum", "minProperties")
_NULL: Final = "null"


class Shapes:
    """Compares the schemas of two documents and collects what breaks, in `breaks`; each pair of names once."""

    def __init__(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        self.before, self.now = before, now
        self.breaks: list[str] = []
        self._seen: set[tuple[str, str, bool]] = set()

    def check(self, fine: bool, where: str, what: str) -> bool:
        if not fine:
            self.breaks.append(f"{where} {what}")
        return fine

    def compare(self, where: str, old: Schema, new: Schema, *, sent: bool) -> None:
        """`sent`: by clients; otherwise they get it."""
        if "$ref" in old and "$ref" in new:
            pair = (old["$ref"], new["$ref"], sent)
            if pair in self._seen:
                return
            self._seen.add(pair)
        olds, news = _options(_followed(old, self.before)), _options(_followed(new, self.now))
        if len(olds) == len(news) == 1:
            self._plain(where, _followed(olds[0], self.before), _followed(news[0], self.now), sent=sent)
            return
        # Each that was sent has to be taken; each that is answered has to be known.
        for one in olds if sent else news:
            self._option(where, one, olds, news, sent=sent)

    def _option(self, where: str, one: Schema, olds: list[Schema], news: list[Schema], *, sent: bool) -> None:
        mine, others = (self.before, self.now) if sent else (self.now, self.before)
        match = _like(one, mine, news if sent else olds, others)
        if match is not None:
            old, new = (one, match) if sent else (match, one)
            self.compare(where, old, new, sent=sent)
        elif sent or not self._is_another_kind(one, olds):
            kind = _kind(_followed(one, mine))
            self.check(False, where, f"must not be {kind} any more" if sent else f"may be {kind} now")

    def _is_another_kind(self, one: Schema, olds: list[Schema]) -> bool:
        """A new kind of object, where there were several before."""
        were = [option for option in olds if _kind(_followed(option, self.before)) == "object"]
        return len(were) > 1 and _kind(_followed(one, self.now)) == "object"

    def _plain(self, where: str, old: Schema, new: Schema, *, sent: bool) -> None:
        self._choices(where, old, new, sent=sent)
        olds, news = _types(old), _types(new)
        narrower, wider = (olds, news) if sent else (news, olds)
        self.check(not wider or (bool(narrower) and narrower <= wider), where, f"was {_said(olds)}, is {_said(news)}")
        self.check(
            old.get("format") == new.get("format") or (sent and "format" not in new), where, "has another format"
        )
        if sent:
            self._bounds(where, old, new)
        self._fields(where, old, new, sent=sent)
        for part in ("items", "additionalProperties", "propertyNames"):
            if isinstance(old.get(part), Mapping) and isinstance(new.get(part), Mapping):
                self.compare(f"{where}[]", old[part], new[part], sent=sent)
        for part in ("allOf", "prefixItems"):
            was, is_now = old.get(part, []), new.get(part, [])
            if self.check(len(was) == len(is_now), where, f"has another {part}"):
                for mine, other in zip(was, is_now, strict=True):
                    self.compare(where, mine, other, sent=sent)

    def _choices(self, where: str, old: Schema, new: Schema, *, sent: bool) -> None:
        olds, news = _words(old), _words(new)
        if sent and news is not None:
            self.check(olds is not None and olds <= news, where, f"must be one of {_said(news)} now")
        if not sent and olds is not None:
            # A single word says what an object is: that stays.
            same = news is not None and ("const" not in old or news == olds)
            self.check(same, where, f"was one of {_said(olds)}")

    def _bounds(self, where: str, old: Schema, new: Schema) -> None:
        for bound in _MOST:
            if bound in new:
                self.check(bound in old and new[bound] >= old[bound], where, f"has {bound} {new[bound]} now")
        for bound in _LEAST:
            if bound in new:
                self.check(bound in old and new[bound] <= old[bound], where, f"has {bound} {new[bound]} now")
        if "pattern" in new:
            self.check(old.get("pattern") == new["pattern"], where, "has another pattern")
        self.check(old.get("default") == new.get("default"), where, "means something else where nothing is said")

    def _fields(self, where: str, old: Schema, new: Schema, *, sent: bool) -> None:
        olds, news = old.get("properties", {}), new.get("properties", {})
        were, are = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(are - were if sent else were - are):
            if sent or name in news:
                self.check(False, f"{where}.{name}", "is needed now" if sent else "may be missing now")
        for name, field in olds.items():
            if self.check(name in news, f"{where}.{name}", "is gone"):
                self.compare(f"{where}.{name}", field, news[name], sent=sent)
        if sent:
            closed = new.get("additionalProperties") is False and old.get("additionalProperties") is not False
            self.check(not closed or "properties" not in old, where, "takes no other fields any more")


def _followed(schema: Schema, document: Mapping[str, Any]) -> Schema:
    while "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        # What stands beside a reference counts as well.
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _options(schema: Schema) -> list[Schema]:
    """Where alternatives stand beside fields, the fields say it."""
    if "properties" not in schema:
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return list(schema[choice])
    return [schema]


def _like(one: Schema, mine: Mapping[str, Any], others: list[Schema], theirs: Mapping[str, Any]) -> Schema | None:
    """Of the others the same one, that of the same name, or else of the same kind."""
    for other in others:
        if one == other or ("$ref" in one and one["$ref"] == other.get("$ref")):
            return other
    kind = _kind(_followed(one, mine))
    alike = [other for other in others if _kind(_followed(other, theirs)) == kind]
    named = [other for other in alike if "$ref" in other and "$ref" in one]
    # Objects of other names are other things, unless there is but one.
    return alike[0] if alike and (len(named) < 2 or kind != "object") else None


def _kind(schema: Schema) -> str:
    return _said(_types(schema)) or "anything"


def _types(schema: Schema) -> set[str]:
    said = schema.get("type")
    if said is None and "const" in schema:
        said = {str: "string", bool: "boolean", int: "integer"}.get(type(schema["const"]), _NULL)
    types = {said} if isinstance(said, str) else set(said or ())
    return types | {"integer"} if "number" in types else types


def _words(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {str(schema["const"])}
    return {str(word) for word in schema["enum"]} if "enum" in schema else None


def _said(words: set[str]) -> str:
    return ", ".join(sorted(words))
