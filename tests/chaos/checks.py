"""The verdict: what was lost, doubled, misdirected or late. Pure functions on what was seen from outside."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import Decisions, Logged, Streamed, by_lane
from tests.chaos.field import Down
from tests.chaos.phones import PAGE, Push
from tests.chaos.roster import Responder, Roster

GRACE = 1.0
"""Seconds after an acknowledgement's commit in which a push may still arrive."""
ON_THE_WAY = frozenset({"incidents", "escalation", "notifier", "nats", "postgres"})
"""What lies between an acknowledgement's commit and a push that it must stop."""


@dataclass(frozen=True)
class Finding:
    """One thing that must not be. `kind`: lost, doubled, misdirected, late or stream."""

    kind: str
    number: int
    text: str


@dataclass(frozen=True)
class Case:
    """All that is known of one accepted alert; times are Unix seconds."""

    number: int
    incidents: Sequence[str]
    levels: Sequence[Responder]
    acknowledged: float | None
    pushes: Sequence[Push]
    due: Mapping[int, float]
    """When each level was decided."""

    @property
    def pages(self) -> list[Push]:
        return [push for push in self.pushes if push.kind == PAGE]


def cases(
    accepted: Sequence[int],
    incidents: Mapping[int, Sequence[str]],
    roster: Roster,
    decided: Decisions,
    pushes: Sequence[Push],
) -> list[Case]:
    sent: dict[int, list[Push]] = defaultdict(list)
    for push in pushes:
        sent[push.number].append(push)
    due: dict[str, dict[int, float]] = defaultdict(dict)
    for (incident, level), when in decided.due.items():
        due[incident][level] = when
    return [
        Case(
            number,
            incidents.get(number, ()),
            roster.route(number).levels,
            min(
                (decided.acknowledged[i] for i in incidents.get(number, ()) if i in decided.acknowledged), default=None
            ),
            sent[number],
            due[incidents[number][0]] if incidents.get(number) else {},
        )
        for number in accepted
    ]


def judge(found: Sequence[Case], downs: Sequence[Down]) -> list[Finding]:
    on_the_way = [down for down in downs if down.name in ON_THE_WAY]
    return [
        finding for case in found for check in (_incident, _pages, _intents, _directions) for finding in check(case)
    ] + [finding for case in found for finding in _late(case, on_the_way)]


def _incident(case: Case) -> Iterator[Finding]:
    if not case.incidents:
        yield Finding("lost", case.number, "accepted, and no incident")
    if len(set(case.incidents)) > 1:
        yield Finding("doubled", case.number, f"{len(set(case.incidents))} incidents: {', '.join(case.incidents)}")


def _pages(case: Case) -> Iterator[Finding]:
    """Every level is pushed to its person, unless somebody acknowledged first: that one is owed no further page."""
    if case.acknowledged is not None:
        return
    for level, person in enumerate(case.levels, start=1):
        if not any(p.push_token == person.push_token and p.level == level and p.status == 200 for p in case.pages):
            who = f"incident {case.incidents[0]}" if case.incidents else "no incident"
            yield Finding("lost", case.number, f"{who}: level {level} was not pushed")


def _intents(case: Case) -> Iterator[Finding]:
    """A repeat must carry the id of what it repeats."""
    intents: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    for push in case.pushes:
        intents[push.incident_id, push.level, push.push_token].add(push.intent)
    for (incident, level, _), ids in intents.items():
        if len(ids) > 1:
            yield Finding("doubled", case.number, f"incident {incident}, level {level}: intents {', '.join(ids)}")


def _directions(case: Case) -> Iterator[Finding]:
    for push in case.pushes:
        right = push.level <= len(case.levels) and case.levels[push.level - 1].push_token == push.push_token
        if not right or push.incident_id not in case.incidents:
            yield Finding(
                "misdirected", case.number, f"level {push.level} of {push.incident_id} to {push.push_token[:8]}…"
            )


def _late(case: Case, downs: Sequence[Down]) -> Iterator[Finding]:
    if case.acknowledged is None:
        return
    for page in case.pages:
        allowed = GRACE + overlap(downs, case.acknowledged, page.at)
        after = page.at - case.acknowledged
        if after > allowed:
            decided = case.due.get(page.level, page.at) - case.acknowledged
            text = f"incident {page.incident_id}, level {page.level}: {after:.2f} s after its acknowledgement"
            yield Finding("late", case.number, f"{text} (decided at {decided:+.2f} s), {allowed:.2f} s were allowed")


def overlap(downs: Sequence[Down], begin: float, end: float) -> float:
    """Seconds between two moments in which at least one of these was down."""
    total, reached = 0.0, begin
    for down in sorted(downs, key=lambda d: d.begin):
        start, stop = max(down.begin, reached), min(down.end, end)
        if stop > start:
            total += stop - start
            reached = stop
    return total


def resends(found: Sequence[Case]) -> dict[int, int]:
    """Pushes that repeat one with the same id and kind, by the alert's number."""
    repeats = {}
    for case in found:
        counts = Counter((push.intent, push.kind) for push in case.pushes)
        repeats[case.number] = sum(count - 1 for count in counts.values())
    return repeats


def compare(service: str, log: Sequence[Logged], stream: Sequence[Streamed]) -> list[Finding]:
    """Every event of the log once in its stream, in the order of its lane, the same bytes, an unbroken chain."""
    findings: list[Finding] = []
    lanes = by_lane(stream)
    for lane, events in by_lane(log).items():
        messages: list[Streamed] = lanes.pop(lane, [])
        missing = {e.position for e in events} - {m.position for m in messages}
        extra = {m.position for m in messages} - {e.position for e in events}
        repeated = len(messages) - len({m.position for m in messages})
        where = f"{service}.{lane}"
        if missing or extra or repeated:
            text = f"{len(missing)} missing {sorted(missing)[:5]}, {len(extra)} extra {sorted(extra)[:5]}"
            findings.append(Finding("stream", -1, f"{where}: {text}, {repeated} repeated"))
        elif [m.position for m in messages] != [e.position for e in events]:
            findings.append(Finding("stream", -1, f"{where}: not in the order of the log"))
        elif any(m.raw != e.raw for m, e in zip(messages, events, strict=True)):
            findings.append(Finding("stream", -1, f"{where}: other bytes than the log's"))
        expected = [0, *(m.position for m in messages)]
        broken = [m.position for m, before in zip(messages, expected, strict=False) if m.previous != before]
        if broken:
            findings.append(Finding("stream", -1, f"{where}: the chain breaks before {broken[:5]}"))
    findings += [Finding("stream", -1, f"{service}.{lane}: in no log") for lane in lanes]
    return findings
