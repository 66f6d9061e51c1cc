"""What incidents has of a bulk: under its key it is kept which one it is, before the first of its commands.

The commands themselves are those of single incidents, each with a key that follows from the bulk's: whoever sends it
again goes on where it was interrupted, and nothing is done twice (docs/adr/0068).
"""

from __future__ import annotations

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.incident_bulk import BulkBody
from libs.contracts.permissions import Action
from libs.contracts.requests import Nothing


def add_bulk(requests: Requests) -> None:
    """Results say what is there: whoever may not look at incidents begins no bulk. Each command asks for its own."""

    @requests.handle("begin_bulk", BulkBody, action=Action.INCIDENTS_READ)
    def begin(_work: Work, _body: BulkBody, _caller: Caller) -> Nothing:
        return Nothing()
