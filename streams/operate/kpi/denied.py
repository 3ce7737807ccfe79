"""Denials as billing holds them, with whom and what each is about: read from its captured tables by its capture role.

    bil_denial, and its provider, claim, group and place --since--> Denied

Concord captures these rows and keeps none of them (a log), so billing is asked. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

import psycopg

from streams.errors import Unavailable
from streams.operate.kpi.denials import Denied
from streams.operate.preparing import chosen_sources
from streams.settings import Settings

BILLING = "billing"
QUERY = """
select d.denial_id, d.rend_id::text, r.cred_ref::text, e.cred_org_ref::text, l.cred_location_ref::text,
       d.received_at, coalesce(d.carc, ''), coalesce(d.rarc, ''), c.dos_from
from bil_denial d join bil_rendering r using (rend_id) left join bil_claim c on c.claim_id = d.claim_id
left join bil_billing_entity e on e.be_id = c.be_id left join bil_service_location l on l.sl_id = c.sl_id
where d.received_at >= %s order by d.received_at, d.denial_id
"""
PATIENCE = "10s"


def since(settings: Settings, begun: str) -> list[Denied]:
    """Those received since then; Unavailable where billing can't be asked."""
    if BILLING not in settings.sources:
        raise Unavailable("kpi.denials", "billing is not captured here, so its denials are not known")
    [source] = chosen_sources(settings, [BILLING])
    try:
        with psycopg.connect(source.dsn, autocommit=True, connect_timeout=5) as connection:
            connection.execute("select set_config('statement_timeout', %s, false)", [PATIENCE])
            return [_denied(*row) for row in connection.execute(QUERY, [begun])]
    except psycopg.Error as fault:
        message = f"billing's denials can't be read: {type(fault).__name__}"
        raise Unavailable("kpi.denials", message, "concord doctor --only grants") from None


def _denied(
    number: int, local: str, provider: str | None, group: str | None, place: str | None,
    received: datetime, carc: str, rarc: str, service: date | None,
) -> Denied:  # fmt: skip
    entities = frozenset(_entities(local, provider, group, place))
    begun = datetime.combine(service, time(), UTC) if service else None
    who = f"provider/{provider}" if provider else f"{BILLING}.provider/{local}"
    return Denied(number, who, entities, received.astimezone(UTC), carc, rarc, begun)


def _entities(local: str, provider: str | None, group: str | None, place: str | None) -> Iterator[str]:
    yield f"{BILLING}.provider/{local}"  # what is wrong while nobody knows whose row it is
    for kind, entity in (("provider", provider), ("organization", group), ("location", place)):
        if entity:
            yield f"{kind}/{entity}"
