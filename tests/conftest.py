"""One pair of servers a session; each test has a database and streams of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # flows need none of it, and importing all services takes longer than most of them
    from tests.attacks import Attack, Told
    from tests.command import Pager
    from tests.restorable import Restorable
    from tests.servers import Servers
    from tests.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-chaos", action="store_true", help="run the long crash tests of tests/chaos")


@pytest.fixture
def services(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Those of the test's world: all, or the ones that its mark names. Each that is started takes a while."""
    from libs.contracts.subjects import SERVICES

    marked = request.node.get_closest_marker("services")
    return SERVICES if marked is None else tuple(marked.args)


@pytest.fixture
async def world(servers: Servers, services: tuple[str, ...]) -> AsyncIterator[World]:
    """Services in this process, with a clock that stands still until the test moves it."""
    from tests.world import World

    async with World(servers, services) as made:
        yield made


@pytest.fixture
async def restorable() -> AsyncIterator[Restorable]:
    """A world on servers of its own, whose bus can be set back."""
    from tests.restorable import restorable_world

    async with restorable_world() as made:
        yield made


@pytest.fixture
def pager(world: World, tmp_path: Path) -> Pager:
    """Commands against the world's database, from a home of their own."""
    from tests.command import pager_of

    return pager_of(world, tmp_path)


@pytest.fixture
def told(record_property: Callable[[str, object], None]) -> Told:
    """To be called when it is sure what an attack got: after the assertion. `python -m tests.security` prints it."""

    from tests.attacks import PROPERTY

    def tell(attack: Attack, got: str) -> None:
        record_property(PROPERTY, (attack.name, got))

    return tell
