"""`concord reassert`: who was sent a view is sent it again; nobody else, not too many, not without being told to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streams.cli import reassert as spoken
from streams.errors import InvalidInput
from streams.operate import reasserting
from streams.operate.reasserting import Asserted, reassert, sent
from streams.settings import Settings


def located(name: str, **revisions: int) -> Any:
    views = {system: SimpleNamespace(revision=revision) for system, revision in revisions.items()}
    return SimpleNamespace(name=name, entity=SimpleNamespace(sent=views))


def test_only_those_that_were_sent_a_view_are_meant() -> None:
    found = [located("provider/a", directory=7, billing=8), located("provider/b", billing=9)]
    assert sent(found, "directory") == {"provider/a": 7}
    assert sent(found, "billing") == {"provider/a": 8, "provider/b": 9}


@pytest.mark.parametrize(
    ("systems", "code", "step"),
    [([], "reassert.nothing", "--system"), (["direktory"], "system.unknown", "did you mean 'directory'?")],
)
def test_nothing_named_and_a_system_nobody_knows_are_refused(
    systems: list[str], code: str, step: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        reassert(Settings(), (), systems, apply=False, by="jo")
    assert caught.value.code == code
    assert step in caught.value.next_step


def test_more_than_the_limit_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput) as caught:
        reasserting._bounded(
            [Asserted("billing", dict.fromkeys("abc", 1)), Asserted("directory", {"a": 1})], 2
        )
    assert caught.value.next_step == "if that is meant: --limit 3"


def test_the_text_shows_a_few_and_counts_the_rest() -> None:
    lines = spoken.text([Asserted("billing", {f"provider/{n}": n for n in range(30)})]).splitlines()
    assert lines[0] == "billing: 30 views would be sent again; --apply does it"
    assert lines[-1] == "  and 10 more"


def test_what_was_not_confirmed_is_named() -> None:
    text = spoken.text(
        [Asserted("billing", {"provider/a": 1, "provider/b": 2}, applied=True, left=["provider/b"])]
    )
    assert text.splitlines() == [
        "billing: 2 views were sent again",
        "  NOT CONFIRMED provider/b, revision 2 before",
    ]
