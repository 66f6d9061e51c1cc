"""What the phone app tells of itself: how long somebody waited for it, and what went wrong in it."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from libs.contracts.auth import Platform
from libs.contracts.model import Contract, SentMoment, StrictContract
from libs.contracts.texts import PROGRAM_VERSION, SHORT_NAME

Timing = Literal["start", "push_to_screen", "tap_to_committed"]
"""From the app's start to its first screen, from a push or a frame of the stream to the red screen, from a tap to the
answer that what it asked for is done."""
TIMINGS: Final[tuple[Timing, ...]] = get_args(Timing)
LONGEST_TIMING: Final = 600_000
"""Milliseconds; what took longer was interrupted, and says nothing of the app."""
MOST_REPORTS: Final = 50
LONGEST_MESSAGE: Final = 2000


class ClientReport(StrictContract):
    """A timing has `milliseconds` and no `message`, an error the other way round."""

    kind: Literal["error", "timing"]
    name: Annotated[str, Field(pattern=SHORT_NAME, examples=["start"])] = Field(
        description=f"Of a timing: {', '.join(f'`{name}`' for name in TIMINGS)}. Of an error: which one, in the"
        " app's own words."
    )
    milliseconds: float | None = Field(default=None, ge=0, le=LONGEST_TIMING, allow_inf_nan=False, examples=[420])
    message: str | None = Field(
        default=None,
        max_length=LONGEST_MESSAGE,
        repr=False,
        description="What looks like a token, an address or a telephone number is taken out before it is kept.",
    )
    at: SentMoment = Field(description="As the phone's clock shows it, which may be wrong.")
    app_version: Annotated[str, Field(pattern=PROGRAM_VERSION, examples=["1.4.0"])]
    platform: Platform

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "error" and self.milliseconds is not None:
            raise ValueError("an error has no milliseconds")
        if self.kind == "timing":
            if self.name not in TIMINGS:
                raise ValueError(f"the name of a timing must be one of {', '.join(TIMINGS)}")
            if self.milliseconds is None:
                raise ValueError("a timing has milliseconds")
            if self.message is not None:
                raise ValueError("a timing has no message")
        return self


class ClientReports(StrictContract):
    """`POST /api/v1/client-reports`."""

    reports: tuple[ClientReport, ...] = Field(min_length=1, max_length=MOST_REPORTS)


class ReportsAccepted(Contract):
    """How many were counted: all, or it is an error."""

    accepted: int
