"""An owner behind an API: an approved change, made only while it still holds the value the approval is bound to.

    sink.<owner>.request --> GET <kind>/<id>, its ETag --compare--> PATCH If-Match, one field --> Applied
                                                       \\--> request.missed, a receipt

The twin of connectors/credentialing/adapter.py, with the API's ETag for the row lock and its idempotency keys for
concord_request. What it changes comes back by the owner's capture, else nobody would believe it. Never decides.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connectors.asked import missed
from connectors.rest.adapter import RestTarget
from connectors.rest.answer import BUSY, RECHECK, SCHEMA, VALUE, Answer, Settled, described, fault
from connectors.rest.request import KEY
from connectors.sink import Applied, Failed, Row, View
from streams.errors import EnvironmentFault, Unavailable

ATTEMPTS = 5
"""Looks at a document that somebody else goes on changing, before it is asked again later."""
GONE = (404, 410)
MADE = (200, 204)
CHANGED = (409, 412)
UNFIT = (400, 413, 422)


class AskingTarget(RestTarget):
    """See connectors.sink.Target for the contract; a view is a list of requests, each settled by itself."""

    def _settle(self, view: View) -> Settled:
        became = [(request, self._made(view, request)) for request in view.content["requests"]]
        refused = [outcome for _, outcome in became if isinstance(outcome, Failed)]
        left = [request for request, outcome in became if outcome is False]
        return Settled(refused[0] if refused else missed(left) if left else Applied())

    def _made(self, view: View, request: Row) -> bool | Failed:
        """Whether the owner has it now; what it has already is not asked for again."""
        path, field = f"{view.content['kind']}/{quote(view.entity_id, safe='')}", request["field"]
        value, expected = (_json(request[name]) for name in ("value", "expected"))
        for _ in range(ATTEMPTS):
            held = self._ask("GET", path)
            document = self._document(view, held)
            if document is None or field not in document:
                return False
            if document[field] == value:
                return True
            if document[field] != expected:
                return False
            answer = self._ask("PATCH", path, _headers(self._tag(held), request), _body(field, value))
            if answer.status in MADE:
                return True
            if answer.status in UNFIT:
                return Failed(
                    VALUE, described(View(view.kind, view.entity_id, view.revision, {field: value}), answer)
                )
            if answer.status not in CHANGED:
                raise fault(self._system, view, answer, datetime.now(UTC))
        step = "the adapter asks again; look what changes it all the time"
        raise Unavailable(BUSY, f"{self._system}: {path} changes faster than it can be compared", step)

    def _document(self, view: View, held: Answer) -> Row | None:
        if held.status in GONE:
            return None
        if held.status != 200:
            raise fault(self._system, view, held, datetime.now(UTC))
        told = held.told
        return told if isinstance(told, dict) else None

    def _tag(self, held: Answer) -> str:
        tag = held.headers.get("etag")
        if not tag:
            step = "an owner's API must answer GET with an ETag (docs/systems-behind-an-api.md)"
            raise EnvironmentFault(SCHEMA, f"{self._system}: a document without ETag", step, RECHECK)
        return str(tag)


def _headers(tag: str, request: Row) -> dict[str, str]:
    """The key is the proposal's: approved once, made once, whatever is sent again."""
    return {"Content-Type": "application/merge-patch+json", "If-Match": tag, KEY: f"request/{request['id']}"}


def _body(field: str, value: Any) -> bytes:
    return json.dumps({field: value}, ensure_ascii=False).encode()


def _json(document: str | None) -> Any:
    return json.loads(document) if document is not None else None
