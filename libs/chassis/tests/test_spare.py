"""Numbers that came to nothing are given again, each once, the smallest first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from libs.chassis.store.spare import Spare


def test_what_was_given_back_is_taken_in_order() -> None:
    spare = Spare()
    assert spare.take(3) == []
    spare.give([7, 3, 5])
    assert (spare.take(2), spare.take(2), spare.take(1)) == ([3, 5], [7], [])


def test_no_number_is_given_twice_to_threads_at_once() -> None:
    spare = Spare()
    spare.give(range(1000))
    with ThreadPoolExecutor(8) as threads:
        taken = [number for found in threads.map(lambda _: spare.take(10), range(120)) for number in found]
    assert sorted(taken) == list(range(1000))
