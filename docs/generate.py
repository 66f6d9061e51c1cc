"""`python -m docs.generate`: writes the documents that follow from the code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs import bus, client, collection, decision_tables, events, permissions
from libs.contracts import streaming
from services.gateway.app import Api

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent


def openapi() -> str:
    """The gateway's description of itself, as `/api/docs-json` serves it."""
    return json.dumps(Api().openapi(), indent=2, ensure_ascii=False) + "\n"


def postman() -> str:
    """The same as a Postman collection."""
    return collection.collection(Api().openapi())


def stream() -> str:
    """The JSON schemas of the stream's frames."""
    return json.dumps(streaming.schemas(), indent=2, ensure_ascii=False) + "\n"


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "docs/events.md": events.document,
    "docs/decision-tables.md": decision_tables.document,
    "docs/permissions.md": permissions.document,
    "docs/asyncapi.json": bus.document,
    "docs/openapi.json": openapi,
    "docs/stream.json": stream,
    f"docs/postman/{collection.NAME}": postman,
} | {
    str((client.FOLDER / name).relative_to(ROOT)): make
    for name, make in client.modules(lambda: Api().openapi()).items()
}
"""What is written, by its path; each is made from the code alone, so that it can be compared."""


def main() -> None:
    """Write every document that is not as the code says, and name it."""
    for name, make in DOCUMENTS.items():
        path, text = ROOT / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: {name}\n")


if __name__ == "__main__":
    main()
