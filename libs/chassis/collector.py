"""Python's garbage collector, in a process that has started."""

from __future__ import annotations

import gc


def rest_the_collector() -> None:
    """Keep the garbage collector from walking through what it cannot free.

    What was imported lives as long as we do. What a batch or a request makes lives until it is over and then goes
    without the collector, so the youngest generation holds the largest batch: what is left for it are rare cycles, of
    exceptions.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
