"""The chart as Helm renders it, by set of values."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "pager"
INSTALLATION: Final = CHART / "ci" / "installation-values.yaml"
VALUE_SETS: Final[Mapping[str, tuple[str, ...]]] = {
    "default": (),
    "small": ("values-small.yaml",),
    "production": ("values-production.yaml",),
}
"""Each is rendered with the installation's own values over it, as `helm upgrade -f … -f …` does."""

Values = dict[str, Any]
Document = dict[str, Any]


class Refused(Exception):
    """Helm does not render these values; the text is what an operator reads."""


@dataclass(frozen=True)
class Rendered:
    """All documents of one rendering, and the notes for the operator."""

    documents: tuple[Document, ...]
    notes: str
    text: str

    def of(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def named(self, kind: str, name: str) -> Document:
        (found,) = [document for document in self.of(kind) if document["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator[tuple[str, Document]]:
        """Name of the owner and pod template of everything that runs."""
        for document in self.documents:
            if document["kind"] in ("Deployment", "Job"):
                yield document["metadata"]["name"], document["spec"]["template"]


def values_of(name: str) -> Values:
    """The files of a set merged, the installation's last."""
    merged: Values = {}
    for file in (*(CHART / one for one in VALUE_SETS[name]), INSTALLATION):
        merged = over(merged, yaml.safe_load(file.read_text(encoding="utf-8")))
    return merged


def over(below: Values, above: Mapping[str, Any]) -> Values:
    """Helm's merge: maps by key, everything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = over(merged[key], value) if both else value
    return merged


@cache
def _chart() -> Any:
    return helm_python.Chart.load(str(CHART))


def render(values: Values, name: str = "pager", namespace: str = "pager") -> Rendered:
    """Render as `helm install` does, the schema included. Raises `Refused`."""
    try:
        _chart().validate_schema(values)
        files: dict[str, str] = _chart().render(values, name=name, namespace=namespace)
    except helm_python.HelmError as error:
        raise Refused(str(error)) from None
    notes = "".join(text for path, text in files.items() if path.endswith("NOTES.txt"))
    texts = [text for path, text in files.items() if path.endswith(".yaml")]
    documents = [document for text in texts for document in yaml.safe_load_all(text) if document]
    return Rendered(tuple(documents), notes, "\n---\n".join(texts))


@cache
def rendered(name: str) -> Rendered:
    """One of `VALUE_SETS`."""
    return render(values_of(name))


def lint() -> list[str]:
    """What `helm lint` complains of; advice about icons is none."""
    with _silent_engine():
        found = helm_python.lint(str(CHART))
    complaints = [f"{m['path']}: {m['error']}" for m in found["messages"] if m["severity"] > 1]
    return complaints + [str(error) for error in found["errors"]]


@contextmanager
def _silent_engine() -> Iterator[None]:
    """While it lints, Helm's engine logs each `fail` of the chart and goes on; its log goes past Python to stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
