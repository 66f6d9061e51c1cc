"""Our provider of OpenFeature: what a flag says for somebody, out of memory (docs/adr/0073)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from libs.contracts.features import share_of


@dataclass(frozen=True, slots=True)
class Flag:
    """For whom it is on: for nobody, for those that it names and a share of everybody, or, with neither, for all."""

    enabled: bool
    percentage: int | None = None
    people: frozenset[str] = frozenset()

    def judge(self, flag: str, who: str | None) -> tuple[bool, Reason]:
        """Whether somebody has it, and why. Nobody in particular is in no share."""
        if not self.enabled:
            return False, Reason.STATIC
        if self.percentage is None and not self.people:
            return True, Reason.STATIC
        if who is not None and who in self.people:
            return True, Reason.TARGETING_MATCH
        return who is not None and share_of(flag, who) < (self.percentage or 0), Reason.SPLIT


class Flags(AbstractProvider):
    """What the environment says holds before what auth has said; of what neither says, the default holds.

    `said` is replaced as a whole by whoever hears of it.
    """

    def __init__(self, environment: Mapping[str, Flag]) -> None:
        super().__init__()
        self.environment = environment
        self.said: Mapping[str, Flag] = {}

    def get_metadata(self) -> Metadata:
        return Metadata(name="pager")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        flag = self.environment.get(flag_key) or self.said.get(flag_key)
        if flag is None:
            return FlagResolutionDetails(default_value, reason=Reason.DEFAULT)
        value, reason = flag.judge(flag_key, evaluation_context.targeting_key if evaluation_context else None)
        return FlagResolutionDetails(value, reason=reason)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        _refuse(flag_key)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        _refuse(flag_key)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        _refuse(flag_key)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        _refuse(flag_key)


def _refuse(flag: str) -> NoReturn:
    raise TypeMismatchError(f"{flag} is on or off")
