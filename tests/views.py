"""Sample views of every sink, complete by their contract: every field of the schema is there.

For the tests of adapters. Names are clearly fictitious; NPIs have valid check digits.
"""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID

import fastavro

from connectors.sink import View
from connectors.wire import reader_schema
from streams.systems import TAKEN

PAYER, PRODUCT, NETWORK = "Fernhollow Health Plan", "Commercial PPO", "Fernhollow Choice"
NETWORK_REF = f'network/["{PAYER}", "{PRODUCT}", "{NETWORK}"]'


def entity(number: int) -> str:
    """A stable id for the n-th entity of a test."""
    return str(UUID(int=number + 1))


def npi(number: int) -> str:
    nine = f"1{number:08d}"
    doubled = [
        2 * int(d) - 9 * (2 * int(d) > 9) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(nine))
    ]
    return f"{nine}{-(sum(doubled) + 24) % 10}"


def view(system: str, kind: str, entity_id: str, revision: int, **content: Any) -> View:
    """A view with the schema's defaults for whatever is not given."""
    fields = reader_schema(system, kind)["fields"]
    blank = {field["name"]: field.get("default") for field in fields}
    row = {**blank, "status": "active", f"{kind}_id": entity_id, **content, "revision": revision}
    return View(kind, entity_id, revision, row, topic=f"sink.{system}.{kind}", partition=0, offset=revision)


def location(system: str, entity_id: str, revision: int = 1, **content: Any) -> View:
    place = {"name": "Alder Creek Clinic", "line1": "12 Alder St", "city": "Springfield", "state": "IL"}
    place |= {"postal_code": "62701-1234"}
    if TAKEN[system]["location"] == "directory":
        place |= {"phone": "+12175550142", "latitude": "39.801", "longitude": "-89.643"}
    return view(system, "location", entity_id, revision, **{**place, **content})


def organization(entity_id: str, revision: int = 1, **content: Any) -> View:
    group = {"npi": npi(900), "tin": "121234567", "legal_name": "Alder Creek Medical Group"}
    return view("billing", "organization", entity_id, revision, **{**group, **content})


def provider(system: str, entity_id: str, revision: int = 1, **content: Any) -> View:
    person = {"npi": npi(UUID(entity_id).int % 10_000), "last_name": "Fernhollow", "first_name": "Wren"}
    if TAKEN[system]["provider"] == "directory":
        person |= {"display_name": "Wren Fernhollow, MD", "degree": "MD", "sex": "F"}
    return view(system, "provider", entity_id, revision, **{**person, **content})


def listing(location_id: str, **content: Any) -> dict[str, Any]:
    """One entry of a directory provider's `listings`."""
    fields = _items("directory", "listings")
    place = {"location_id": location_id, "payer": PAYER, "product": PRODUCT, "network": NETWORK}
    return {**dict.fromkeys(fields), **place, "listed_from": "2024-01-01", **content}


def affiliation(organization_id: str, **content: Any) -> dict[str, Any]:
    """One entry of a billing provider's `affiliations`."""
    period = {"effective_from": "2024-01-01", "effective_to": None}
    return {"organization_id": organization_id, **period, **content}


def group(location_id: str, **content: Any) -> dict[str, Any]:
    """One entry of an enrollment provider's `groups`."""
    ids = {"organization_id": entity(800), "group_npi": npi(900), "group_tax_id": "121234567"}
    return {"location_id": location_id, **ids, **content}


def wire(system: str, sent: View, schema_id: int) -> bytes:
    """The view as a sink record's value."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, reader_schema(system, sent.kind), sent.content)
    return b"\0" + schema_id.to_bytes(4, "big") + body.getvalue()


def _items(system: str, name: str) -> list[str]:
    fields = {field["name"]: field for field in reader_schema(system, "provider")["fields"]}
    return [field["name"] for field in fields[name]["type"]["items"]["fields"]]
