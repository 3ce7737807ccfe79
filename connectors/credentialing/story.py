"""The demo's story: what happens to providers in the credentialing system, each event one transaction.

Plain SQL on the credentialing system's own tables, as its users' software would write it; it knows nothing of
capture, topics or targets. Who is touched is chosen by the data, so the story runs on invented and on NPPES rows.
Every event dates from the database's current_date; intervals are half-open.
"""
# ruff: noqa: S608  (statements are built from this file's own text, values are parameters)

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

from connectors.credentialing import load
from connectors.credentialing.bundle import Bundle
from connectors.credentialing.clinics import address
from connectors.credentialing.fiction import PLACES, Place
from connectors.credentialing.generator import provider_npi
from connectors.credentialing.practitioner import add_provider_at
from connectors.event import Connection, Event
from streams.core.formats import npi as npi_problem
from streams.errors import InvalidInput

HIRED_FROM = 60_000_000
"""Numbers of the generator's series that only `hire` uses."""


def move_practice(connection: Connection, provider_id: UUID | None = None) -> Event:
    """A provider leaves the primary location for one of another organization, and joins that organization."""
    with connection.transaction():
        who, npi = _provider(connection, MOVABLE, provider_id)
        where = _row(connection, ELSEWHERE, {"who": who}, "a location where this provider has never worked")
        for statement in (LEAVE_LOCATION, ARRIVE_AT_LOCATION, LEAVE_ORGANIZATION, JOIN_ORGANIZATION):
            connection.execute(statement, {"who": who, "location": where[0], "organization": where[1]})
    return Event("moves to another practice", "provider", str(who), npi, ("provider_location", "affiliation"))


def renew_license(connection: Connection, provider_id: UUID | None = None) -> Event:
    """The licence that expires first is renewed for two years."""
    with connection.transaction():
        who, npi = _provider(connection, LICENSED, provider_id)
        connection.execute(RENEW, {"who": who})
    return Event("renews a licence", "provider", str(who), npi, ("license",))


def hire(connection: Connection, seed: int = 1) -> Event:
    """A new provider with complete rows at the clinic that has most providers; every call hires another."""
    with connection.transaction():
        location_id, org_id, state = _row(
            connection, LARGEST, {}, "a location that belongs to an organization"
        )
        (today,) = _row(connection, "select current_date", {}, "a date")
        npi = _unused_npi(connection, seed)
        bundle = Bundle()
        place = next((place for place in PLACES if place.state == state), PLACES[0])
        who = _add_newcomer(bundle, npi, (place, org_id, (location_id,) * 2), today)
        load.write(connection, [bundle])
    return Event("is hired", "provider", str(who), npi, tuple(bundle.rows))


def terminate(connection: Connection, provider_id: UUID | None = None) -> Event:
    """A provider leaves: status, affiliations, locations, networks and the credentialing cycle end today."""
    with connection.transaction():
        who, npi = _provider(connection, LEAVING, provider_id)
        for statement in END_ALL.values():
            connection.execute(statement, {"who": who})
    return Event("leaves", "provider", str(who), npi, tuple(END_ALL))


def lapse(connection: Connection, provider_id: UUID | None = None) -> Event:
    """The only licence of a provider expired yesterday, and nobody renewed it."""
    with connection.transaction():
        who, npi = _provider(connection, LAPSING, provider_id)
        connection.execute(LAPSE, {"who": who})
    return Event("lets the only licence lapse", "provider", str(who), npi, ("license",))


def suspend(connection: Connection, provider_id: UUID | None = None) -> Event:
    """Whose licence lapsed last is suspended."""
    with connection.transaction():
        who, npi = _provider(connection, LAPSED, provider_id)
        connection.execute(SUSPEND, {"who": who})
    return Event("is suspended for it", "provider", str(who), npi, ("provider",))


def clinic_moves(connection: Connection, location_id: UUID | None = None) -> Event:
    """The location where most providers work gets another street address in the same ZIP code."""
    with connection.transaction():
        where, line1, npi = _row(
            connection, BUSIEST, {"where": location_id}, "a location with current providers"
        )
        line = address(Random(f"{where}/{line1}"))  # noqa: S311 (another address each time, the same in a replay)
        connection.execute(MOVE_CLINIC, {"where": where, "line1": line})
    return Event("moves across town", "location", str(where), npi, ("practice_location",))


def _add_newcomer(bundle: Bundle, npi: str, where: tuple[Place, UUID, tuple[UUID, ...]], today: date) -> UUID:
    """The generator's rows, without defects and starting today."""
    who = add_provider_at(bundle, Random(npi), npi, where, today, flawless=True)  # noqa: S311
    bundle.rows["provider_location"] = bundle.rows["provider_location"][:1]
    for table in ("affiliation", "provider_location"):
        for row in bundle.rows[table]:
            row["effective_from"] = today
    for row in bundle.rows["network_participation"]:
        row.update(par_status="par", effective=today)
    bundle.rows["provider"][0]["updated_by"] = "hire"
    bundle.rows["license"][0]["expires"] = today + timedelta(days=730)
    return who


def _unused_npi(connection: Connection, seed: int) -> str:
    series = (provider_npi(seed, HIRED_FROM + n) for n in count())
    known = "select from provider where npi = %s"
    return next(npi for npi in series if connection.execute(known, [npi]).fetchone() is None)


def _provider(connection: Connection, candidates: str, wanted: UUID | None) -> tuple[UUID, str]:
    """The first candidate whose NPI is valid: a held provider would show nothing."""
    for who, npi in connection.execute(f"{candidates} limit 50", {"wanted": wanted}):
        if npi and npi_problem(npi) is None:
            return who, npi
    raise InvalidInput("story.nobody", "no provider fits this event", "load providers first: concord load")


def _row(connection: Connection, query: str, values: dict[str, object], what: str) -> tuple[Any, ...]:
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise InvalidInput(
            "story.nothing", f"the database has not {what}", "load providers first: concord load"
        )
    return row


_ACTIVE = """
select p.provider_id, p.npi from provider p
where p.status = 'active' and (%(wanted)s::uuid is null or p.provider_id = %(wanted)s)
"""
_WORKS = """
exists (select from provider_location l where l.provider_id = p.provider_id and l.is_primary
        and l.effective_to is null and coalesce(l.effective_from, '-infinity') < current_date)
"""
_NETWORKS = """
(select count(*) from network_participation n
 where n.provider_id = p.provider_id and n.par_status = 'par' and n.term is null)
"""
MOVABLE = f"{_ACTIVE} and {_WORKS} order by {_NETWORKS} desc, p.provider_id"
LEAVING = f"{_ACTIVE} and {_WORKS} order by {_NETWORKS} desc, p.provider_id desc"
_RENEWABLE = """
select license_id, expires from license l
where l.provider_id = {who} and l.status in ('active', 'pending')
  and coalesce(l.expires > l.issued, true) order by l.expires, l.license_id limit 1
"""
LICENSED = f"""
select who.* from ({_ACTIVE}) who, lateral ({_RENEWABLE.format(who="who.provider_id")}) next
order by next.expires, who.provider_id
"""

ELSEWHERE = """
select location_id, org_id from practice_location there
where not exists (
    select from provider_location l where l.provider_id = %(who)s and l.location_id = there.location_id)
  and (org_id is null or not exists (
    select from affiliation a where a.provider_id = %(who)s and a.org_id = there.org_id))
order by org_id is null, location_id limit 1
"""
LEAVE_LOCATION = """
update provider_location set effective_to = current_date, is_primary = false
where provider_id = %(who)s and is_primary and effective_to is null
"""
ARRIVE_AT_LOCATION = """
insert into provider_location (provider_id, location_id, is_primary, effective_from)
values (%(who)s, %(location)s, true, current_date)
"""
LEAVE_ORGANIZATION = """
update affiliation a set effective_to = current_date
where a.provider_id = %(who)s and a.effective_to is null and not exists (
    select from provider_location l join practice_location p using (location_id)
    where l.provider_id = a.provider_id and l.effective_to is null and p.org_id = a.org_id)
"""
JOIN_ORGANIZATION = """
insert into affiliation (provider_id, org_id, role, bills_under, effective_from)
select %(who)s, %(organization)s::uuid, 'member', true, current_date where %(organization)s::uuid is not null
"""

RENEW = f"""
update license set status = 'active', expires = (coalesce(next.expires, current_date) + interval '2 years')::date
from ({_RENEWABLE.format(who="%(who)s")}) next where license.license_id = next.license_id
"""

LAPSING = f"""
{_ACTIVE} and {_WORKS} and not exists (select from exclusion_hit h where h.provider_id = p.provider_id)
  and (select count(*) = 1 and bool_and(l.status = 'active' and l.expires >= current_date and l.state = (
           select there.state from provider_location w join practice_location there using (location_id)
           where w.provider_id = p.provider_id and w.is_primary and w.effective_to is null limit 1))
       from license l where l.provider_id = p.provider_id)
order by {_NETWORKS} desc, p.provider_id desc
"""
LAPSE = """
update license set status = 'expired', expires = greatest(current_date - 1, issued) where provider_id = %(who)s
"""
LAPSED = f"""
{_ACTIVE} and not exists (
    select from license l where l.provider_id = p.provider_id and l.status <> 'expired')
order by (select max(l.expires) from license l where l.provider_id = p.provider_id) desc nulls last, p.provider_id desc
"""
SUSPEND = "update provider set status = 'suspended' where provider_id = %(who)s"

_HEADS = "(select count(*) from provider_location l where l.location_id = p.location_id and l.effective_to is null)"
LARGEST = f"""
select p.location_id, p.org_id, p.state from practice_location p
where p.org_id is not null order by {_HEADS} desc, p.location_id limit 1
"""
BUSIEST = f"""
select p.location_id, p.line1, p.location_npi from practice_location p
where %(where)s::uuid is null or p.location_id = %(where)s order by {_HEADS} desc, p.location_id limit 1
"""
MOVE_CLINIC = """
update practice_location set line1 = %(line1)s, line2 = null, latitude = null, longitude = null, geocoded_at = null
where location_id = %(where)s
"""

END_ALL = {
    "provider": "update provider set status = 'terminated' where provider_id = %(who)s",
    "affiliation": """
        update affiliation set effective_to = greatest(current_date, effective_from)
        where provider_id = %(who)s and effective_to is null""",
    "provider_location": """
        update provider_location set effective_to = greatest(current_date, effective_from)
        where provider_id = %(who)s and effective_to is null""",
    "network_participation": """
        update network_participation set term = current_date, par_status = 'terminated', reason = 'left'
        where provider_id = %(who)s and term is null""",
    "credentialing_cycle": """
        update credentialing_cycle set status = 'terminated'
        where provider_id = %(who)s and status not in ('terminated', 'denied', 'withdrawn')""",
}
"""What ends with a provider, in the order it is written."""
