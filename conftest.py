"""Which tests need servers, which run alone, and the one pair of servers that a process of tests has."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import is_hypothesis_test

from libs.chassis.surroundings import forget_libpq
from libs.chassis.testing.examples import register_profiles
from libs.chassis.testing.turns import Turns
from tests.logs import plain_logs

if TYPE_CHECKING:
    from tests.servers import Servers

_STARTING = {"servers", "running", "restorable"}
"""Fixtures that start PostgreSQL and NATS; NATS and a gateway; a world on servers of its own."""

_COMPUTING = 480
"""Seconds for a property: it waits for nothing, but a machine with much else to do gives it a quarter of a core."""
_TURNS = pytest.StashKey[Turns]()
_STARTED = pytest.StashKey[set[Path]]()
"""Files of tests whose fixtures coverage has watched."""
_TESTS_OF_WORLDS = Path(__file__).parent / "tests"

register_profiles()
plain_logs()
# Whatever shell calls the tests: libraries in them would send what is meant for this machine elsewhere.
forget_libpq()
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj):
            # Thousands of examples take the same lines, and to watch them at it takes as long as they do.
            item.add_marker("no_cover")
            item.add_marker(pytest.mark.timeout(_COMPUTING))
        if _STARTING.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
    # First: while one is alone the other workers wait, best before they have started anything.
    items.sort(key=_is_alone, reverse=True)


def pytest_collection() -> None:
    # What is imported and collected stays until the end: it is not looked through at each collection of garbage.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()  # with what little of it is garbage: to look for that takes longer than it is worth
    gc.set_threshold(20_000, 20, 20)  # as processes rest it, if less: most of what a test makes goes without it
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # one of the workers of pytest-xdist, whose folders have one parent
        config.stash[_TURNS] = Turns(Path(config.getoption("basetemp")).parent)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around everything else: while a test waits for its turn, its own time does not run."""
    turns = item.config.stash.get(_TURNS, None)
    with turns.turn(alone=_is_alone(item)) if turns else nullcontext():
        return (yield)


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    """Started where first asked for; each test takes a database and streams of its own from them."""
    from tests.servers import running_servers

    async with running_servers() as running:
        yield running


@contextmanager
def _unwatched(item: pytest.Item) -> Iterator[None]:
    """Coverage looks away while the fixtures of a file's second test, and of each after it, start and stop a world.

    They go through the same lines again, and before Python 3.12 whoever watches is called at each line of all
    libraries: as much work as the start itself. It looks away in this thread alone: threads that begin meanwhile serve
    what the test does then, and a thread that was begun unwatched stays so.
    """
    known = item.session.stash.setdefault(_STARTED, set())
    watched = sys.gettrace() if item.config.pluginmanager.has_plugin("_cov") else None
    if watched is None or item.path not in known or not item.path.is_relative_to(_TESTS_OF_WORLDS):
        yield
        return
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(watched)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with _unwatched(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    with nullcontext() if nextitem is None else _unwatched(item):  # the last one stops what the whole session had
        result = yield
    item.session.stash[_STARTED].add(item.path)
    return result
