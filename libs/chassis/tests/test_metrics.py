"""Counting: bounded labels, text that Prometheus reads, and updates that come from any thread."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.chassis.measure.meters import Meters
from libs.chassis.measure.metrics import OTHER, Bounded, GaugeValue, Metrics, merged
from libs.contracts.model import Lane
from libs.contracts.requests import ErrorKind, Refusal, Reply


def _values(text: str) -> dict[tuple[str, str], float]:
    """Value by (name, label values joined by a comma)."""
    return {
        (sample.name, ",".join(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_fifty_first_source_is_other_and_the_first_fifty_keep_their_names() -> None:
    source = Bounded(50)
    assert [source(f"s{n}") for n in range(50)] == [f"s{n}" for n in range(50)]
    assert source("s50") == OTHER
    assert source("s7") == "s7"


@pytest.mark.parametrize("odd", ["", "a b", 'a"b', "x" * 65, "ü", "a\nb", "-"])
def test_a_source_that_is_no_plain_name_is_other_and_takes_no_place(odd: str) -> None:
    source = Bounded(1)
    assert source(odd) == OTHER
    assert source("plain") == "plain"


def test_every_series_names_its_service_and_what_else_is_asked_for() -> None:
    metrics = Metrics("auth")
    metrics.counter("seen", "What was seen.", "kind").labels("x").inc(3)
    metrics.read(
        [GaugeValue("now", "A gauge.", 2, {"lane": "urgent"}), GaugeValue("now", "A gauge.", 5, {"lane": "routine"})]
    )
    values = _values(metrics.text(instance="auth-1").decode())
    assert values["seen_total", "auth-1,x,auth"] == 3
    assert values["now", "auth-1,urgent,auth"] == 2
    assert values["now", "auth-1,routine,auth"] == 5
    assert "created" not in metrics.text().decode()


def test_the_next_reading_takes_the_place_of_all_earlier_ones() -> None:
    metrics = Metrics("auth")
    metrics.read([GaugeValue("lag", "Behind.", 2)])
    metrics.read([GaugeValue("other", "Else.", 1)])
    names = {name for name, _ in _values(metrics.text().decode())}
    assert "other" in names
    assert "lag" not in names


def test_answers_of_several_processes_become_one_in_which_a_metrics_lines_stand_together() -> None:
    texts = []
    for service in ("auth", "oncall"):
        metrics = Metrics(service)
        metrics.counter("seen", "What was seen.").inc()
        metrics.histogram("took_seconds", "How long it took.").observe(0.2)
        texts.append(metrics.text().decode())
    together = merged(texts)
    assert _values(together) == _values(texts[0]) | _values(texts[1])
    assert together.count("# TYPE seen_total counter") == 1
    lines = [line for line in together.splitlines() if not line.startswith("#")]
    families = [line.partition("{")[0].removesuffix("_bucket").removesuffix("_sum") for line in lines]
    assert families.index("seen_total") + 1 == len(families) - families[::-1].index("seen_total") - 1


async def test_a_request_is_counted_by_its_outcome_and_a_failing_one_by_its_kind() -> None:
    meters = Meters("auth")

    async def answer(reply: Reply) -> Reply:
        return reply

    refused = Reply(ok=False, error=Refusal(kind=ErrorKind.NOT_FOUND, message="no"))
    for reply in (Reply(ok=True), Reply(ok=True), refused):
        assert await meters.request("get", answer(reply)) is reply
    values = _values(meters.text().decode())
    assert values["pager_requests_total", "get,ok,auth"] == 2
    assert values["pager_requests_total", "get,not_found,auth"] == 1
    assert values["pager_request_duration_seconds_count", "get,auth"] == 3


async def test_work_in_threads_counts_as_use_of_connections_also_when_it_fails() -> None:
    meters = Meters("auth")
    loop = asyncio.get_running_loop()
    with meters.threads("work", 2) as threads:
        assert await loop.run_in_executor(threads, divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(threads, divmod, 7, 0)
    values = _values(meters.text().decode())
    assert values["pager_database_busy_seconds_count", "work,auth"] == 2
    assert values["pager_database_wait_seconds_count", "work,auth"] == 2


def test_a_batch_is_one_observation_whatever_its_size_and_a_timer_is_as_late_as_it_fired() -> None:
    meters = Meters("auth")
    meters.batches("ALERTS", Lane.URGENT)(200, 0.0)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    meters.fired([now - timedelta(seconds=90), now + timedelta(seconds=1)], now)
    values = _values(meters.text().decode())
    assert values["pager_consumer_batch_size_count", "urgent,auth,alerts"] == 1
    assert values["pager_consumer_batch_size_sum", "urgent,auth,alerts"] == 200
    assert values["pager_timer_delay_seconds_sum", "auth"] == 90, "none is early"
