"""Sessions for tests of something else."""

from __future__ import annotations

from libs.chassis.requests.callers import Caller


class AllGoOn:
    """No session has ended."""

    async def check(self, caller: Caller) -> Caller:
        return caller
