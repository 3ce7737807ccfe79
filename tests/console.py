"""The console over invented data, and somebody who is signed in to it: for tests without any service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from streams.console import app
from streams.console.port import Desk
from streams.settings import Settings

HERE = "http://127.0.0.1"
OURS = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}


@dataclass(slots=True)
class Somebody:
    """A browser with a session; what it posts comes from a page of the console."""

    client: TestClient

    def get(self, path: str, status: int = 200) -> str:
        return self._text(self.client.get(path), status)

    def post(
        self, path: str, data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
    ) -> str:
        return self._text(
            self.client.post(path, data=data, headers=OURS if headers is None else headers), status
        )

    def _text(self, answer: Any, status: int) -> str:
        assert answer.status_code == status, answer.text
        return str(answer.text)


@contextmanager
def signed_in(desk: Desk, role: str, who: str = "pat", signs: str = "") -> Iterator[Somebody]:
    """Somebody with one role, through the development login; "" is nobody."""
    with TestClient(app.create(desk, Settings()), base_url=HERE) as client:
        found = Somebody(client)
        if role:
            found.post("/login", {"who": who, "role": role, "signs": signs})
        yield found


def findings(**more: Any) -> list[dict[str, Any]]:
    """A few open findings, the first with these fields."""
    like = {
        "kind": "provider", "entity_id": "p", "code": "licence.lapsed", "subject": "license/l1", "state": "opened",
        "severity": "high", "effect": "hold", "message": "it lapsed", "action": "renew it", "opened_position": "1/2/3",
        "position": "1/2/3", "actor": "credentialing", "due": "2026-01-01", "evidence": [],
    }  # fmt: skip
    return [
        {**like, **more},
        {**like, "entity_id": "q"},
        {**like, "entity_id": "r", "severity": "low", "due": None},
    ]


def chosen(text: str) -> list[str]:
    """The values of the checkboxes of a page, or of the hidden fields of its form."""
    return list(
        dict.fromkeys(unescape(found) for found in re.findall(r'name="chosen" value="([^"]*)"', text))
    )
