"""What would break a client that was made for the last release; `python -m docs.breaking` makes this one the last."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from docs import bus, shapes
from docs.shapes import Shapes
from services.gateway.app import Api

Document = Mapping[str, Any]

RELEASED: Final = Path(__file__).resolve().parent / "released"
_SAID: Final = frozenset({"description", "summary", "title", "example", "examples", "deprecated"})
"""Words for people: nothing breaks where they change. Of an operation `deprecated` stays."""


def openapi_breaks(before: Document, now: Document) -> list[str]:
    """Of the HTTP API: a sentence each."""
    before, now = bare(before), bare(now)
    found = Shapes(before, now)
    for path, verb, old in _operations(before):
        new = now["paths"].get(path, {}).get(verb)
        where = f"{verb.upper()} {path}"
        if new is None:
            # What was announced to end may be gone.
            found.check(bool(old.get("deprecated")), where, "is gone")
            continue
        found.check(old["operationId"] == new["operationId"], where, "has another operationId")
        _parameters(found, where, old, new)
        _body(found, where, old, new)
        _answers(found, where, old, new)
        _security(found, where, old, new)
    return found.breaks


def asyncapi_breaks(before: Document, now: Document) -> list[str]:
    """Of the bus and the stream: a sentence each."""
    before, now = bare(before), bare(now)
    found = Shapes(before, now)
    for name, old in before["channels"].items():
        new = now["channels"].get(name)
        if not found.check(new is not None, name, "is gone"):
            continue
        found.check(old["address"] == new["address"], name, "has another address")
        for parameter, kind in old.get("parameters", {}).items():
            gone = set(kind.get("enum", ())) - set(new.get("parameters", {}).get(parameter, {}).get("enum", ()))
            found.check(not gone, f"{name} {parameter}", f"is never {_listed(gone)} any more")
    for name, old in before["operations"].items():
        new = now["operations"].get(name)
        if not found.check(new is not None and new["action"] == old["action"], name, "is gone"):
            continue
        _messages(found, name, old, new, sent=old["action"] == "receive")
        if "reply" in old and found.check("reply" in new, name, "is not answered any more"):
            _messages(found, f"{name} reply", old["reply"], new["reply"], sent=False)
    return found.breaks


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def _parameters(found: Shapes, where: str, old: Document, new: Document) -> None:
    before, now = ({(p["in"], p["name"]): p for p in one.get("parameters", ())} for one in (old, new))
    for key, parameter in now.items():
        was_needed = before.get(key, {}).get("required", False)
        found.check(was_needed or not parameter.get("required", False), f"{where} {key[1]}", "is needed now")
    for key, parameter in before.items():
        if found.check(key in now, f"{where} {key[1]}", "is not taken any more"):
            found.compare(f"{where} {key[1]}", parameter["schema"], now[key]["schema"], sent=True)


def _body(found: Shapes, where: str, old: Document, new: Document) -> None:
    before, now = old.get("requestBody"), new.get("requestBody")
    needed = bool(now and now.get("required"))
    found.check(not needed or bool(before and before.get("required")), f"{where} body", "is needed now")
    if before and found.check(now is not None, f"{where} body", "is not taken any more"):
        _contents(found, f"{where} body", before, now or {}, sent=True)


def _answers(found: Shapes, where: str, old: Document, new: Document) -> None:
    """Of errors the status may change; whoever knows it reads the same envelope of each."""
    for status, answer in old["responses"].items():
        if status < "4" and found.check(status in new["responses"], f"{where} {status}", "is not answered any more"):
            now = new["responses"][status]
            gone = answer.get("headers", {}).keys() - now.get("headers", {}).keys()
            found.check(not gone, f"{where} {status}", f"has no {_listed(gone)} any more")
            _contents(found, f"{where} {status}", answer, now, sent=False)


def _contents(found: Shapes, where: str, old: Document, new: Document, *, sent: bool) -> None:
    for media_type, medium in old.get("content", {}).items():
        now = new.get("content", {}).get(media_type)
        if found.check(now is not None, where, f"is not {media_type} any more"):
            found.compare(where, medium["schema"], now["schema"], sent=sent)


def _security(found: Shapes, where: str, old: Document, new: Document) -> None:
    before, now = ({scheme for s in one.get("security", ()) for scheme in s} for one in (old, new))
    found.check(bool(before) or not now, where, "asks for a token now")
    found.check(not now or before <= now, where, f"takes no {_listed(before - now)} any more")


def _messages(found: Shapes, where: str, old: Document, new: Document, *, sent: bool) -> None:
    before, now = ({m["$ref"].rpartition("/")[2] for m in one["messages"]} for one in (old, new))
    found.check(before <= now, where, f"has no {_listed(before - now)} any more")
    for name in sorted(before & now):
        for part in ("payload", "headers"):
            was, is_now = (doc["components"]["messages"][name].get(part, {}) for doc in (found.before, found.now))
            found.compare(f"{name} {part}", was, is_now, sent=sent)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def bare(node: Any, *, names: bool = False) -> Any:
    """A document without what only people read. `names`: whether its keys are somebody's names."""
    if isinstance(node, list):
        return [bare(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    kept = {key: inner for key, inner in node.items() if names or key not in _SAID or _ends(node, key)}
    return {key: bare(inner, names=not names and key in shapes.NAMED) for key, inner in kept.items()}


def _ends(node: Document, key: str) -> bool:
    return key == "deprecated" and "operationId" in node


DOCUMENTS: Final[Mapping[str, tuple[Callable[[], Document], Callable[[Document, Document], list[str]]]]] = {
    "openapi.json": (lambda: Api().openapi(), openapi_breaks),
    "asyncapi.json": (lambda: json.loads(bus.document()), asyncapi_breaks),
}
"""By the name in `released/`: how it is made, and how it is compared."""


def main() -> None:
    """A release is what later ones are compared with."""
    RELEASED.mkdir(exist_ok=True)
    for name, (make, _) in DOCUMENTS.items():
        text = json.dumps(bare(make()), indent=1, ensure_ascii=False) + "\n"
        (RELEASED / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"written: docs/released/{name}\n")


if __name__ == "__main__":
    main()
