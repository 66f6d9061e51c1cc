"""JSON schemas as Python's TypedDicts: what `docs.client` writes for the Python client."""

from __future__ import annotations

import json
import keyword
import re
import textwrap
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

IMPORTS: Final = """from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict
from uuid import UUID
"""
_WIDTH: Final = 116
_PLAIN: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_WIDE: Final = {"uuid": "str | UUID", "date-time": "str | datetime"}
"""What is only ever sent may be what Python has for it."""


class Types:
    """Collects the schemas that are needed, and writes them."""

    def __init__(self, openapi: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Schema] = openapi["components"]["schemas"]
        self._sent: set[str] = set()
        self._got: set[str] = set()

    def need(self, name: str, *, sent: bool) -> None:
        """This one, and all that it names."""
        seen = self._sent if sent else self._got
        if name not in seen:
            seen.add(name)
            self.need_all(self._schemas[name], sent=sent)

    def need_all(self, schema: Schema, *, sent: bool) -> None:
        """All that it names."""
        for name in _named(schema):
            self.need(name, sent=sent)

    def written(self) -> str:
        """Words first, and last what is no class: both are read where they stand."""
        names = sorted(self._sent | self._got, key=lambda name: (self._rank(name), name))
        return "".join(map(self._one, names))

    def _rank(self, name: str) -> int:
        return 0 if "enum" in self._schemas[name] else 2 if self._has_words_of_python(name) else 1

    def _has_words_of_python(self, name: str) -> bool:
        return any(map(keyword.iskeyword, self._schemas[name].get("properties", {})))

    def kind(self, schema: Schema, *, wide: bool) -> str:
        """A schema as an annotation. `wide`: of what is only ever sent."""
        if "$ref" in schema:
            return str(schema["$ref"]).rpartition("/")[2]
        if "enum" in schema or "const" in schema:
            words = schema.get("enum", [schema.get("const")])
            return f"Literal[{', '.join(map(_literal, words))}]"
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self._either(schema, choice, wide=wide)
        return self._plain(schema, wide=wide)

    def field(self, name: str, kind: str, schema: Schema, *, optional: bool) -> str:
        """A line of a class, and below it what the schema says."""
        line = f"    {name}: {f'NotRequired[{kind}]' if optional else kind}\n"
        told = schema.get("description")
        return line + (inset(docstring(told, _WIDTH - 4), 4) if told else "")

    def _one(self, name: str) -> str:
        schema, wide = self._schemas[name], name not in self._got
        told = schema.get("description") or ""
        about = docstring(told) if told else ""
        if "enum" in schema:
            return f"\n\n{name} = {self.kind(schema, wide=wide)}\n{about}"
        fields = {
            field: (self.kind(inner, wide=wide), inner, field not in schema.get("required", ()))
            for field, inner in schema.get("properties", {}).items()
        }
        if self._has_words_of_python(name):
            given = ", ".join(
                f"{json.dumps(field)}: {f'NotRequired[{kind}]' if optional else kind}"
                for field, (kind, _, optional) in fields.items()
            )
            return f'\n\n{name} = TypedDict("{name}", {{{given}}})\n{about}'
        lines = "".join(self.field(f, kind, inner, optional=o) for f, (kind, inner, o) in fields.items())
        return f"\n\nclass {name}(TypedDict):\n{inset(about, 4)}{lines or ('' if about else '    pass')}\n"

    def _either(self, schema: Schema, choice: str, *, wide: bool) -> str:
        # A form beside the alternatives is that of the text among them.
        form = {"format": schema["format"]} if "format" in schema else {}
        options = [form | one if one.get("type") == "string" else one for one in schema[choice]]
        return " | ".join(dict.fromkeys(self.kind(one, wide=wide) for one in options))

    def _plain(self, schema: Schema, *, wide: bool) -> str:
        said = schema.get("type")
        if said == "array":
            inner = self.kind(schema.get("items", {}), wide=wide)
            return f"{'Sequence' if wide else 'list'}[{inner}]"
        if said == "object":
            more = schema.get("additionalProperties", True)
            inner = self.kind(more, wide=wide) if isinstance(more, Mapping) and more else "Any"
            return f"{'Mapping' if wide else 'dict'}[str, {inner}]"
        if wide and schema.get("format") in _WIDE:
            return _WIDE[schema["format"]]
        return _PLAIN[said] if isinstance(said, str) else "Any"


def _named(node: Any) -> set[str]:
    """Every schema that stands in this one."""
    if isinstance(node, Mapping):
        own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(_named, node.values()))
    return set[str]().union(*map(_named, node)) if isinstance(node, list) else set()


def docstring(text: str, width: int = _WIDTH) -> str:
    """As one of Python's, with lines that end where ours do; what is a code block already stays."""
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, width - 6) or [""]]
    more = "\n" if len(lines) > 1 and "" in lines else ""
    escaped = "\n".join(lines).replace("\\", "\\\\").replace('"""', '\\"""')
    return f'"""{escaped}{more}"""\n'


def _literal(word: Any) -> str:
    return json.dumps(word) if isinstance(word, str) else repr(word)


def snake(name: str, *, same: bool = False) -> str:
    """`userId` is `user_id`. `same`: as it is, for what is sent under its name; no word of Python in any case."""
    made = name if same else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().lstrip("_")
    return f"{made}_" if keyword.iskeyword(made) else made


def inset(text: str, spaces: int) -> str:
    """A text, each line so far to the right."""
    return "".join(f"{' ' * spaces}{line}" if line.strip() else line for line in text.splitlines(keepends=True))
