"""Which incident somebody means: by its number, its id, or the beginning of its id."""

from __future__ import annotations

from sqlalchemy import BigInteger, Uuid, bindparam, select

from libs.chassis.store.work import Work
from libs.contracts.incidents import IncidentView
from libs.contracts.keys import IncidentKey, read_key
from libs.contracts.requests import Invalid, NotFound
from services.incidents.projections import incidents

_BY_NUMBER = select(incidents.c.view).where(incidents.c.number == bindparam("number", type_=BigInteger))
_BETWEEN = (
    select(incidents.c.view)
    .where(incidents.c.id.between(bindparam("low", type_=Uuid), bindparam("high", type_=Uuid)))
    .order_by(incidents.c.id)
    .limit(2)
)


def find_incident(work: Work, key: str) -> IncidentView:
    """The incident that is meant, as it was last written.

    Raises:
        Invalid: the key is none, or fits several incidents.
        NotFound: there is none.
    """
    try:
        wanted: IncidentKey = read_key(key)
    except ValueError as error:
        raise Invalid(str(error), field="key") from None
    rows = work.fetch(_BY_NUMBER, number=wanted.number) if wanted.number is not None else ()
    if not rows and wanted.ids is not None:
        low, high = wanted.ids
        rows = work.fetch(_BETWEEN, low=low, high=high)
    if not rows:
        raise NotFound(f"there is no incident {key}")
    if len(rows) > 1:
        raise Invalid(f"{key} may be several incidents: give more digits", field="key")
    return IncidentView.model_validate(rows[0]["view"])
