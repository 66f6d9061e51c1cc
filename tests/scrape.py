"""Reading metrics as Prometheus does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from libs.chassis.testing.deadline import in_time
from libs.contracts.subjects import SERVICES


@dataclass(frozen=True)
class Scraped:
    """The samples of one answer."""

    samples: tuple[Sample, ...]

    @classmethod
    def parsed(cls, text: str) -> Scraped:
        return cls(tuple(s for family in text_string_to_metric_families(text) for s in family.samples))

    @property
    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}

    def all(self, name: str, **labels: str) -> list[Sample]:
        """Every series of this name with these labels."""
        wanted = labels.items()
        return [s for s in self.samples if s.name == name and wanted <= s.labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series of this name with these labels; 0 where there is none."""
        return sum(sample.value for sample in self.all(name, **labels))


async def get(url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    """(status, body, headers)."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), dict(response.headers)


async def scrape(gateway: Any, replicas: int = len(SERVICES)) -> Scraped:
    """All processes, through the gateway: asked again until as many replicas of services have answered in its time."""
    async with in_time():
        while True:
            status, text, headers = await get(f"{gateway.url}/api/metrics")
            assert status == 200, text
            assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
            seen = Scraped.parsed(text)
            if len({(s.labels["service"], s.labels["instance"]) for s in seen.all("pager_ready")}) == replicas + 1:
                return seen
