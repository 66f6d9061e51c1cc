"""`metadata.<key>=<value>` in the query of a list: a filter for each label that is asked for."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import Request

from libs.contracts.incident_lists import LABEL_CHARACTERS, MOST_LABELS
from services.gateway.envelope import Problem

PREFIX: Final = "metadata."
_LONGEST: Final = 200


async def read_labels(request: Request) -> dict[str, str]:
    """By key; in the dependencies of a route it says that the route knows such parameters."""
    given = {name: value for name, value in request.query_params.items() if name.startswith(PREFIX)}
    if len(given) > MOST_LABELS:
        raise Problem.invalid(PREFIX, f"at most {MOST_LABELS} labels at a time")
    for name, value in given.items():
        if not 0 < len(name) - len(PREFIX) <= _LONGEST:
            raise Problem.invalid(name[:100], f"a key has 1 to {_LONGEST} characters")
        if len(value) > LABEL_CHARACTERS:
            raise Problem.invalid(name[:100], f"must have at most {LABEL_CHARACTERS} characters")
    return {name.removeprefix(PREFIX): value for name, value in given.items()}


Labels = Annotated[dict[str, str], Depends(read_labels)]
