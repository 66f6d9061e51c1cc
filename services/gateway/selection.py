"""Field selection: `fields=id,title,escalation.level` leaves out of an answer what its caller does not need."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import from_json
from starlette.responses import Response
from typing_extensions import TypeAliasType

from services.gateway.envelope import Problem, success

PARAMETER: Final = "fields"
DESCRIPTION: Final = (
    "Names of fields, separated by commas, nested ones with dots (`id,title,escalation.level`): only these come."
)
_LONGEST: Final = 4096
_MOST: Final = 100
_DEEPEST: Final = 8
_BESIDE: Final = frozenset({"pagination", "nextCursor"})
"""Of a list, not of what is listed: always there."""

Known = Mapping[str, Any]
"""Names of fields; each with the names in it, `_ANY` where its names are its owner's, or None where there are none."""
Wanted = dict[str, Any]
"""The same of what was asked for; None: the whole of it."""
_ANY: Final[Known] = types.MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Selection:
    """What may be selected of one operation's answer."""

    known: Known
    within: str | None
    """The name of the thing, or of the list of things, that the data hold; what is beside it stays. None: the data."""

    @classmethod
    def of(cls, answer: type[BaseModel] | None) -> Selection | None:
        """From an answer's model, `{success, data}`; None where nothing in it has fields that are known."""
        data = (_known(answer, 0).get("data") or {}) if answer is not None else {}
        names = [name for name, known in data.items() if known and name not in _BESIDE]
        if len(names) == 1:
            return cls(data[names[0]], names[0])
        return cls(data, None) if names else None

    def read(self, fields: str) -> Wanted:
        """Raises Problem (400), which names the field that there is not."""
        names = [name.strip() for name in fields.split(",")]
        if len(fields) > _LONGEST or len(names) > _MOST:
            raise Problem.invalid(PARAMETER, f"at most {_MOST} names in {_LONGEST} characters")
        wanted: Wanted = {}
        for name in names:
            if not self._add(wanted, name):
                raise Problem.invalid(PARAMETER, f"there is no field {name[:100]!r}")
        return wanted

    def _add(self, wanted: Wanted, name: str) -> bool:
        known: Known | None = self.known
        parts = name.split(".")
        for number, part in enumerate(parts):
            if known is _ANY:  # whoever chose the names may have chosen dots
                wanted[".".join(parts[number:])] = None
                return True
            if known is None or part not in known:
                return False
            known = known[part]
            if number == len(parts) - 1 or wanted.get(part, wanted) is None:
                wanted[part] = None  # the whole of it, also where parts of it are asked for besides
                return number == len(parts) - 1 or self._exists(known, parts[number + 1 :])
            wanted = wanted.setdefault(part, {})
        return False

    def _exists(self, known: Known | None, parts: list[str]) -> bool:
        for part in parts:
            if known is _ANY:
                return True
            if known is None or part not in known:
                return False
            known = known[part]
        return True

    def applied(self, response: Response, wanted: Wanted) -> Response:
        """The answer with only what is wanted."""
        body = getattr(response, "body", None)
        if response.status_code != 200 or not isinstance(body, bytes):
            return response
        if response.media_type != "application/json":
            raise Problem.invalid(PARAMETER, "is for answers in JSON")
        data = from_json(body)["data"]
        if self.within is None:
            data = _selected(data, wanted | dict.fromkeys(_BESIDE))
        else:
            data[self.within] = _selected(data[self.within], wanted)
        tag = response.headers.get("ETag")
        return success(data, headers=None if tag is None else {"ETag": tag})


def _selected(value: Any, wanted: Wanted) -> Any:
    if isinstance(value, list):
        return [_selected(one, wanted) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: inner if wanted[name] is None else _selected(inner, wanted[name])
        for name, inner in value.items()
        if name in wanted
    }


def _known(annotation: Any, depth: int) -> Known:
    """The names in a type; empty where it has none. Of several types those of all."""
    if isinstance(annotation, TypeAliasType):
        return _known(annotation.__value__, depth)
    if depth > _DEEPEST:
        return {}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return {
            field.serialization_alias or field.alias or name: _known(field.annotation, depth + 1) or None
            if not _is_free(field.annotation)
            else _ANY
            for name, field in fields
        }
    origin = get_origin(annotation)
    if origin is Annotated:
        return _known(get_args(annotation)[0], depth)
    if origin in (Union, types.UnionType) or (isinstance(origin, type) and issubclass(origin, Iterable)):
        found: dict[str, Any] = {}
        for argument in get_args(annotation):
            found |= _known(argument, depth)
        return found
    return {}


def _is_free(annotation: Any) -> bool:
    """Whether it is a dictionary, whose names are its owner's."""
    if isinstance(annotation, TypeAliasType):
        return _is_free(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_free(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(map(_is_free, get_args(annotation)))
    kind = origin or annotation
    return kind is Any or (isinstance(kind, type) and issubclass(kind, Mapping))
