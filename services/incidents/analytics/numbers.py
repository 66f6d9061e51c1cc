"""The numbers of a period, as they are answered: rows of the questions, by hours and by the nights of people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.chassis.store.work import Work
from libs.contracts.analytics import (
    MOST_INTEGRATIONS,
    MOST_PEOPLE,
    NOISIEST,
    Handling,
    HourHandling,
    HourLoad,
    IntegrationHandling,
    LevelResponse,
    Load,
    Noise,
    NoisyIntegration,
    NoisyKey,
    Period,
    PersonLoad,
    PriorityHandling,
    Responder,
    Response,
    Summary,
)
from libs.contracts.model import Priority
from services.incidents.analytics import queries
from services.incidents.analytics.night import Night, stretches
from services.incidents.analytics.scope import Scope, Scopes
from services.incidents.references import erased

_DIGITS: Final = 3
"""Of seconds: a clock tells no more."""
Rows = Sequence[Mapping[str, Any]]


class _Pages(NamedTuple):
    quarters: Rows
    """By person and quarter of the day where they lived, and whether that is night."""
    incidents: Mapping[UUID, int]
    """By person, those that they were paged for."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """`Numbers(work, period, scopes, night).summary()` …: each asks its statements in the transaction of `work`."""

    work: Work
    period: Period
    scopes: Scopes
    night: Night

    def summary(self) -> Summary:
        rows = self._fetch(queries.HANDLING, self.scopes.incidents, **self._clocks(self.period.timezone))
        of = _by_part(rows)
        (whole,) = of[queries.WHOLE]
        by_priority = {row["priority"]: row for row in of.get(queries.BY_PRIORITY, ())}
        by_integration = sorted(of.get(queries.BY_INTEGRATION, ()), key=_most)[:MOST_INTEGRATIONS]
        names = self._names(by_integration)
        return Summary(
            **self._of_period(),
            **_handling(whole),
            by_priority=tuple(
                PriorityHandling(priority=one, **_handling(by_priority[one])) for one in Priority if one in by_priority
            ),
            by_integration=tuple(
                IntegrationHandling(
                    integration_id=row["integration_id"], name=names.get(row["integration_id"]), **_handling(row)
                )
                for row in by_integration
            ),
            by_hour=_by_hour(of.get(queries.BY_HOUR, ())),
            people=self._loads(self._pages()),
        )

    def response(self) -> Response:
        first = self._fetch(queries.ANSWERED, self.scopes.incidents)
        answered = {row["level"]: row for row in first if row["of"] == queries.BY_LEVEL}
        fired = {row["level"]: row["fired"] for row in self._fetch(queries.FIRED, self.scopes.incidents)}
        unpaged = answered.pop(None, None)
        return Response(
            **self._of_period(),
            levels=tuple(_level(level, fired[level], answered.get(level)) for level in sorted(fired)),
            unpaged=0 if unpaged is None else unpaged["answered"],
            responders=self._responders(first),
        )

    def load(self) -> Load:
        found = self._pages()
        pages = found.quarters
        hours: Counter[int] = Counter()
        for row in pages:
            hours[row["quarter"] // 4] += row["pages"]
        return Load(
            **self._of_period(),
            night=str(self.night),
            pages=sum(row["pages"] for row in pages),
            night_pages=sum(row["pages"] for row in pages if row["is_night"]),
            by_hour=tuple(
                HourLoad(hour=hour, pages=hours[hour], is_night=self.night.touches(hour)) for hour in range(24)
            ),
            people=self._loads(found),
        )

    def noise(self) -> Noise:
        keys = self._fetch(queries.NOISY_KEYS, self.scopes.incidents, limit=NOISIEST)
        of_integrations = self._fetch(queries.NOISY_INTEGRATIONS, self.scopes.incidents, limit=MOST_INTEGRATIONS)
        names = self._names(of_integrations)
        return Noise(
            **self._of_period(),
            keys=tuple(NoisyKey.model_validate(row) for row in keys),
            integrations=tuple(
                NoisyIntegration.model_validate({**row, "name": names.get(row["integration_id"])})
                for row in of_integrations
            ),
        )

    # --- Whom it is about --------------------------------------------------------------------------------------------

    def _pages(self) -> _Pages:
        zones = {"UTC", *(row["timezone"] for row in self.work.fetch(queries.ZONES))}
        rows = self._fetch(queries.PAGES, self.scopes.people, **self._clocks(*sorted(zones)))
        return _Pages(
            [row | {"is_night": self.night.has(row["quarter"])} for row in rows if row["quarter"] is not None],
            {row["user_id"]: row["pages"] for row in rows if row["quarter"] is None},
        )

    def _loads(self, pages: _Pages) -> tuple[PersonLoad, ...]:
        counts: defaultdict[UUID, list[int]] = defaultdict(lambda: [0, 0])
        for row in pages.quarters:
            both = counts[row["user_id"]]
            both[0] += row["pages"]
            both[1] += row["pages"] if row["is_night"] else 0
        most = sorted(counts.items(), key=lambda one: (-one[1][0], str(one[0])))[:MOST_PEOPLE]
        gone = erased(self.work, [user_id for user_id, _ in most])
        return tuple(
            PersonLoad(
                user_id=user_id,
                erased=user_id in gone,
                pages=told,
                night_pages=nights,
                incidents=pages.incidents[user_id],
            )
            for user_id, (told, nights) in most
        )

    def _responders(self, first: Rows) -> tuple[Responder, ...]:
        """`first`: the first answers to the incidents that the numbers are of."""
        people, incidents = self.scopes.people, self.scopes.incidents
        rows = self._acts(people, first if people == incidents else self._fetch(queries.ANSWERED, people))
        if people.person is not None and people != incidents:
            # Of themselves they see what they did wherever they see what it was done to.
            own = str(people.person)
            rows |= {actor: row for actor, row in self._acts(incidents, first).items() if actor == own}
        ranked = sorted(rows.values(), key=lambda row: (-row["acknowledged"] - row["resolved"], row["actor_id"]))
        gone = erased(self.work, [UUID(row["actor_id"]) for row in ranked])
        return tuple(
            Responder(
                user_id=(user_id := UUID(row["actor_id"])),
                erased=user_id in gone,
                acknowledged=row["acknowledged"],
                resolved=row["resolved"],
                first=row["first"],
                mean_seconds=_rounded(row["mean"]),
            )
            for row in ranked
        )

    def _acts(self, scope: Scope, first: Rows) -> dict[str, dict[str, Any]]:
        """By person: how often they answered, and how often they were the first and how soon."""
        firsts = {row["actor_id"]: row for row in first if row["of"] == queries.BY_PERSON}
        none = {"answered": 0, "mean": None}
        return {
            row["actor_id"]: row | {"first": one["answered"], "mean": one["mean"]}
            for row in self._fetch(queries.RESPONDERS, scope, limit=MOST_PEOPLE)
            for one in (firsts.get(row["actor_id"], none),)
        }

    # --- What is asked -----------------------------------------------------------------------------------------------

    def _fetch(self, statement: Any, scope: Scope, **more: Any) -> list[dict[str, Any]]:
        between = {"since": self.period.from_, "until": self.period.to}
        return self.work.fetch(statement, **between, **scope.parameters, **more)

    def _clocks(self, *zones: str) -> dict[str, list[Any]]:
        """What the clocks of these zones show in the period, for `queries._stretches`."""
        found = [one for name in zones for one in stretches(name, self.period.from_, self.period.to)]
        columns = zip(*found, strict=True) if found else ((), (), (), ())
        return dict(zip(("zones", "begins", "ends", "ahead"), map(list, columns), strict=True))

    def _names(self, rows: Iterable[Mapping[str, Any]]) -> dict[UUID, str]:
        ids = [row["integration_id"] for row in rows if row["integration_id"] is not None]
        return {row["id"]: row["name"] for row in self.work.fetch(queries.NAMES, ids=ids)} if ids else {}

    def _of_period(self) -> dict[str, Any]:
        return self.period.model_dump()


def _by_part(rows: Rows) -> dict[int, list[Mapping[str, Any]]]:
    """Each row of sums with its medians, by what it is of."""
    key = itemgetter("of", "priority", "integration_id", "hour")
    medians = {key(row): row for row in rows if row["incidents"] is None}
    parts: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["incidents"] is not None:
            found = medians.get(key(row), row)
            both = {name: found[name] for name in ("median_answer", "median_resolution")}
            parts[row["of"]].append({**row, **both})
    return parts


def _handling(row: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: row[name] for name in Handling.model_fields if name in row}
    return counts | {
        "mtta": _mean(row["answer_seconds"], row["answered"]),
        "mttr": _mean(row["end_seconds"], row["resolved"]),
        "median_answer": _rounded(row["median_answer"]),
        "median_resolution": _rounded(row["median_resolution"]),
    }


def _by_hour(rows: Rows) -> tuple[HourHandling, ...]:
    of = {row["hour"]: row for row in rows}
    return tuple(
        HourHandling(
            hour=hour,
            incidents=row["incidents"],
            answered=row["answered"],
            mtta=_mean(row["answer_seconds"], row["answered"]),
            resolved=row["resolved"],
            mttr=_mean(row["end_seconds"], row["resolved"]),
        )
        if (row := of.get(hour)) is not None
        else HourHandling(hour=hour)
        for hour in range(24)
    )


def _level(level: int, fired: int, row: Mapping[str, Any] | None) -> LevelResponse:
    if row is None:
        return LevelResponse(level=level, fired=fired)
    return LevelResponse(
        level=level,
        fired=fired,
        answered=row["answered"],
        mean_seconds=_rounded(row["mean"]),
        median_seconds=_rounded(row["median"]),
        p95_seconds=_rounded(row["p95"]),
    )


def _most(row: Mapping[str, Any]) -> tuple[int, str]:
    return -row["incidents"], str(row["integration_id"])


def _mean(total: float | None, count: int) -> float | None:
    return round(float(total or 0) / count, _DIGITS) if count else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(float(seconds), _DIGITS)
