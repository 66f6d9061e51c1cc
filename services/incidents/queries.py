"""What the decisions of incidents ask their tables."""

from __future__ import annotations

from sqlalchemy import ARRAY, Integer, Text, Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import distinct_on

from services.incidents.projections import (
    SCHEMA,
    alert_repeats,
    dedup_keys,
    integration_keys,
    integrations,
    repeats,
    seen_alerts,
    timeline,
)

_ids = bindparam("ids", type_=ARRAY(Uuid))
_last = (
    repeats.c.count,
    repeats.c.last_at,
    repeats.c.last_incarnation,
    repeats.c.last_sequence,
    repeats.c.placed,
    repeats.c.unplaced_at,
)
KEYS = (
    select(dedup_keys, *_last)
    .outerjoin(repeats, repeats.c.incident_id == dedup_keys.c.incident_id)
    .where(dedup_keys.c.id == any_(_ids))
)
"""The newest incident of each of the dedup keys `ids`, and its repeats, if any."""
REPEATS = select(repeats.c.incident_id, *_last).where(repeats.c.incident_id == any_(_ids))
"""How often the alerts of the incidents `ids` came again, and when and where the last one stood."""
ALERT_REPEATS = select(alert_repeats).where(alert_repeats.c.id == any_(_ids))
"""The same of the alerts `ids`, which have rows of their own where their incident has had more than one."""
SEEN = select(seen_alerts.c.id).where(seen_alerts.c.id == any_(_ids))
"""Which of the alerts `ids` have been taken."""
BY_KEY = (
    select(integrations, integration_keys.c.key_hash, integration_keys.c.last_used_at)
    .join(integration_keys, integration_keys.c.integration_id == integrations.c.id)
    .where(integration_keys.c.key_hash == any_(bindparam("hashes", type_=ARRAY(Text))))
)
"""Integrations by the `hashes` of their keys."""
NUMBERS = select(func.nextval(f"{SCHEMA}.incident_number").label("number")).select_from(
    func.generate_series(1, bindparam("count", type_=Integer)).alias("n")
)
"""`count` numbers that no incident has had."""
NEWEST = (
    select(timeline.c.incident_id, timeline.c.type, timeline.c.event_id)
    .where(
        timeline.c.incident_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
        timeline.c.type == any_(bindparam("types", type_=ARRAY(Text))),
    )
    .order_by(timeline.c.incident_id, timeline.c.type, timeline.c.at.desc())
    .ext(distinct_on(timeline.c.incident_id, timeline.c.type))
)
"""The last event of each of `types` in the timelines of `ids`."""
