"""What the directory's own people do to it in the demo's story, each edit one transaction.

Plain SQL on the directory's tables, as its software would write it. Whom it touches is chosen by the data; a provider
who isn't listed anywhere would show nothing.
"""

from __future__ import annotations

from connectors.event import Connection, Event
from streams.errors import InvalidInput

SYSTEM = "directory"
_LISTED = """
select l.listing_id, p.cred_provider_ref::text, p.npi_number
from dir_listing l join dir_provider p using (dir_provider_id)
where p.cred_provider_ref is not null and (l.listed_to is null or l.listed_to > current_date) {besides}
order by p.cred_provider_ref, l.listing_id limit 1
"""
_DEGREE = "and p.credential_text = 'MD'"
_RENAME = "update dir_listing set group_name = 'The Other Medical Group' where listing_id = %s"
_ACCEPT = """
update dir_listing set accepting_cd = case accepting_cd when 'newpt' then 'existptonly' else 'newpt' end
where listing_id = %s
"""
_PROPOSE = "update dir_provider set credential_text = 'DO' where cred_provider_ref::text = %s"

_UNNAMED = "and p.last_name not like '%-Vale'"
_RENAME_PERSON = "update dir_provider set last_name = last_name || '-Vale' where cred_provider_ref::text = %s"


def rename_group(connection: Connection) -> Event:
    """A listing gets another group's name: the platform derives it, so the edit is overruled."""
    listing, who, npi = _listed(connection)
    connection.execute(_RENAME, [listing])
    return _event("is listed under another group by the directory: overruled", who, npi, "dir_listing")


def accept_patients(connection: Connection) -> Event:
    """Whether a provider takes new patients is the directory's own to say."""
    listing, who, npi = _listed(connection)
    connection.execute(_ACCEPT, [listing])
    return _event("takes new patients, says the directory: its own, accepted", who, npi, "dir_listing")


def change_degree(connection: Connection) -> Event:
    """Another degree is a proposal: kept for a ruling, and until then the directory shows the owner's."""
    _, who, npi = _listed(connection, _DEGREE)
    connection.execute(_PROPOSE, [who])
    return _event("has another degree in the directory: proposed, and restored", who, npi, "dir_provider")


def change_name(connection: Connection) -> Event:
    """Another name is a proposal that takes two people; each time it is somebody else's."""
    _, who, npi = _listed(connection, _UNNAMED)
    connection.execute(_RENAME_PERSON, [who])
    return _event("has another name in the directory: proposed, and restored", who, npi, "dir_provider")


def _listed(connection: Connection, besides: str = "") -> tuple[int, str, str]:
    row = connection.execute(_LISTED.format(besides=besides)).fetchone()
    if row is None:
        raise InvalidInput("story.nobody", "the directory lists nobody", "load providers first: concord load")
    return row[0], row[1], row[2]


def _event(title: str, who: str, npi: str, table: str) -> Event:
    return Event(title, "provider", who, npi, (table,), SYSTEM)
