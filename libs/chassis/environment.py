"""What surrounds a process says: the environment over `.env`, and settings that stand in files (README, Settings)."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

ENV_FILE: Final = Path(".env")
OUR_PREFIXES: Final = ("PAGER_", "JWT_", "OTEL_", "ENABLE_", "FEATURE_")
TRACES: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ALONE: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
"""OpenTelemetry's own names: where spans go. The second one is for spans alone, and goes first."""
LARGEST: Final = 1024 * 1024
"""Bytes of a file that a setting names; a bundle of all the authorities that there are is a quarter of it."""
_LINE_END: Final = re.compile(r"\r\n|\n|\r")


def text_of(path: Path | str) -> str:
    """The text of a file that a setting names, without a byte order mark.

    Raises:
        ValueError: why it cannot be one, without its content.
    """
    try:
        # A pipe into which nobody writes would hold us up for good.
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise ValueError("is no file")
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(error.strerror or "cannot be read") from None
    if len(raw) > LARGEST:
        raise ValueError("is larger than 1 MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # which no environment can hold, and no text has
        raise ValueError("is no text")
    return text


def read_env_file(path: Path = ENV_FILE) -> tuple[dict[str, str], list[str]]:
    """The entries of `.env`, and what is wrong with it: by numbers of lines, for what stands there may be a secret."""
    if not path.exists():
        return {}, []
    try:
        text = text_of(path)
    except ValueError as error:
        return {}, [f"{path}: {error}"]
    wrong = [binding for binding in parse_stream(io.StringIO(text)) if _sets_nothing(binding)]
    found = dotenv_values(stream=io.StringIO(text)) if not wrong else {}
    values = {name: value for name, value in found.items() if value is not None}
    return values, [f"{path}: line {_line(binding)} is no setting, which would be NAME=value" for binding in wrong]


def _sets_nothing(binding: Binding) -> bool:
    return binding.error or (binding.key is not None and binding.value is None)


def _line(binding: Binding) -> int:
    """Where it begins, after the empty lines that the parser takes for its beginning."""
    before = binding.original.string
    blank = before[: len(before) - len(before.lstrip())]
    return binding.original.line + len(_LINE_END.findall(blank))


def merged(environment: Mapping[str, str], from_file: Mapping[str, str]) -> dict[str, str]:
    """The environment over the entries of `.env`; whoever says `NAME` there means no `NAME_FILE` here."""
    said = {name.removesuffix("_FILE") for name, value in environment.items() if value}
    return {k: v for k, v in from_file.items() if k.removesuffix("_FILE") not in said} | dict(environment)


def value_of(environment: Mapping[str, str], name: str) -> str | None:
    """`$<name>`, or what stands in the file that `$<name>_FILE` names; None where neither is set, or both are empty.

    Raises:
        ValueError: a line that names the setting, never its value.
    """
    value, path = environment.get(name) or None, environment.get(f"{name}_FILE")
    if value is not None and path:
        raise ValueError(f"{name} and {name}_FILE are both set: keep one")
    if value is not None and not value.strip():
        raise ValueError(f"{name}: is blank")
    if not path:
        return value
    try:
        if not (value := text_of(path).strip()):
            raise ValueError("is empty")
    except ValueError as error:
        raise ValueError(f"{name}_FILE: {error}") from None
    return value
