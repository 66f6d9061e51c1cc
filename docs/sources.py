"""What contracts say of themselves in their source: class docstrings and the strings below fields."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from typing import Any


def class_docstring(model: type[Any]) -> str:
    """Its own docstring in a paragraph a line; empty when it has none (an inherited one would be another's)."""
    text = inspect.cleandoc(model.__dict__.get("__doc__") or "")
    return "\n\n".join(_line(paragraph) for paragraph in text.split("\n\n"))


def field_docstrings(model: type[Any]) -> dict[str, str]:
    """The string that follows a field in the class's body, by the field's name."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if parent.__module__.startswith("libs.contracts"):
            found |= _of_body(parent)
    return found


def _of_body(model: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)).body
    found = {}
    for field, after in itertools.pairwise(body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = _line(text)
    return found


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
