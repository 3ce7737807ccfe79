"""A view as one HTTP request: PUT <base>/<kind>/<id>, the whole view as JSON.

    View --build--> Put --adapter--> the system's API

Pure, and the same for every system behind an API: the contract of its sink topic is the contract of the document.
Fields that a view hasn't are the system's own and none of ours (Invariant 9). Never holds a credential.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from connectors.sink import View

KEY, REVISION = "Idempotency-Key", "Concord-Revision"


@dataclass(frozen=True, slots=True)
class Put:
    """One request; `path` is relative to the API's address."""

    path: str
    headers: Mapping[str, str]
    body: bytes


def build(view: View) -> Put:
    """The same view gives the same bytes: a server may hold a replay against its first request."""
    body = json.dumps(view.content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    headers = {"Content-Type": "application/json", KEY: key(view), REVISION: str(view.revision)}
    return Put(f"{view.kind}/{quote(view.entity_id, safe='')}", headers, body.encode())


def key(view: View) -> str:
    """`provider/<id>@<revision>`: one key for whatever is sent again, another for what is newer."""
    return f"{view.kind}/{quote(view.entity_id, safe='')}@{view.revision}"
