"""Rekey: rows under a system's own id end as claims of the entity they belong to, whatever the order they came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.agents import rekey
from streams.core import rekeyed
from streams.core.canonical import Listing, Provider, Row
from streams.core.change import Change, Confirmation
from streams.core.entity import Entity, aggregate, confirm

LOCAL = "7"
Said = Change | Confirmation


def row(at: int, record: str, row_id: str, values: Row | None, txid: int = 0) -> Change:
    return Change(
        "directory", "provider", LOCAL, record, row_id, (1, at, at), values, False, False, txid or at, 0, 0, False
    )  # fmt: skip


def root(at: int, link: str | None, txid: int = 0) -> Change:
    return row(at, "provider", LOCAL, Provider(provider_id=link, last_name=f"at {at}"), txid)


def applied(at: int, entity_id: str, revision: int = 1) -> Confirmation:
    return Confirmation(
        "directory", "provider", entity_id, LOCAL, revision, "", (1, at, at - 1), False, at, 0, 0
    )


@dataclass
class Hop:
    """A partition that re-keys one local id, and the entities that hear of it."""

    local: Entity
    entities: dict[str, Entity]

    def hear(self, said: Said) -> str:
        outcome, outputs = rekey.take(self.local, said, "claims.directory", 0)
        for output in outputs:
            told = rekeyed.decode(output.key, output.value)
            assert isinstance(told, Change | Confirmation)
            entity = self.entities.setdefault(told.entity_id, Entity("provider", told.entity_id))
            if isinstance(told, Confirmation):
                confirm(entity, told)
            else:
                aggregate(entity, told)
        return outcome

    def rows(self, entity_id: str) -> dict[str, Any]:
        """What the directory holds of an entity: live rows only."""
        entity = self.entities.get(entity_id)
        tables = entity.claims.get("directory", {}) if entity is not None else {}
        return {
            f"{record}/{i}": claim.image(record)
            for record, rows in tables.items()
            for i, claim in rows.items()
            if not claim.is_deleted
        }


def hop(*said: Said) -> Hop:
    made = Hop(Entity("directory.provider", LOCAL), {})
    for item in said:
        made.hear(item)
    return made


links = st.sampled_from(["ann", "bo", None])
kinds = st.sampled_from(["root", "root", "gone", "one", "one gone", "two", "applied"])


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """What happens to one local id, in commit order."""
    said: list[Said] = []
    for at, kind in enumerate(draw(st.lists(kinds, min_size=1, max_size=8)), 1):
        match kind:
            case "root":
                said.append(root(at, draw(links)))
            case "gone":
                said.append(row(at, "provider", LOCAL, None))
            case "applied":
                said.append(applied(at, draw(st.sampled_from(["ann", "bo"]))))
            case _:
                name = kind.split()[0]
                values = None if "gone" in kind else Listing(group_name=f"at {at}")
                said.append(row(at, "listing", name, values))
    return said


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[list[Said], list[Said]]:
    """A history, and the same in another order with parts of it sent again."""
    history = draw(histories())
    again = draw(st.lists(st.sampled_from(history), max_size=4))
    return history, draw(st.permutations([*history, *again]))


def expected(history: list[Said]) -> tuple[str, dict[str, Any]]:
    """Whose the rows are in the end, and what they say."""
    newest: dict[tuple[str, str], Change] = {}
    held = ""
    for said in history:
        if isinstance(said, Confirmation):
            held = said.entity_id
        else:
            newest[said.record, said.row_id] = said
    own = newest.get(("provider", LOCAL))
    named = own.values.provider_id if own is not None and isinstance(own.values, Provider) else None
    rows = {f"{r}/{i}": said.values for (r, i), said in newest.items() if said.values is not None}
    return named or held, rows


@given(disturbed())
def test_every_row_ends_at_the_entity_it_belongs_to_and_nowhere_else(
    both: tuple[list[Said], list[Said]],
) -> None:
    """The right property: partitions are read again from any point, and tables reach us in any order among each other."""
    history, shuffled = both
    owner, rows = expected(history)
    for said in (history, [*history, *history], shuffled):
        made = hop(*said)
        assert (made.local.link.entity_id if made.local.link is not None else "") == owner
        assert {name: made.rows(name) for name in ("ann", "bo")} == {
            name: rows if name == owner else {} for name in ("ann", "bo")
        }


def test_rows_of_a_local_id_that_is_linked_there_and_back_are_back() -> None:
    """A row that never changed moves both times: the link's number makes its claim the newer one."""
    made = hop(root(1, "ann"), row(2, "listing", "one", Listing(group_name="no")))
    there = made.rows("ann")
    made.hear(root(3, "bo"))
    assert made.rows("ann") == {}
    assert made.rows("bo")["listing/one"] == Listing(group_name="no")
    made.hear(root(4, "ann"))
    assert made.rows("ann").keys() == there.keys()
    assert made.rows("bo") == {}


def test_rows_nobody_is_linked_to_wait_and_are_told_when_somebody_is() -> None:
    made = hop()
    assert made.hear(root(1, None)) == rekey.PARKED
    assert made.hear(row(2, "listing", "one", Listing(group_name="no"))) == rekey.PARKED
    assert made.entities == {}
    assert made.hear(applied(3, "ann")) == rekey.APPLIED
    assert made.rows("ann").keys() == {f"provider/{LOCAL}", "listing/one"}


def test_a_confirmation_vouches_for_the_rows_of_its_transaction_also_when_they_are_told_later() -> None:
    """Invariant 8: rows that waited are told after the confirmation, and are no claim of the directory's users."""
    written: list[Said] = [
        applied(5, "ann"),
        root(6, "ann", txid=5),
        row(7, "listing", "one", Listing(group_name="no"), txid=5),
    ]
    for first in ([], [row(2, "listing", "two", Listing(group_name="yes"))]):
        made = hop(*first, *written)
        claims = made.entities["ann"].claims["directory"]
        assert claims["provider"][LOCAL].claims("provider") == Provider()
        assert claims["listing"]["one"].claims("listing") == Listing()
        if first:
            assert claims["listing"]["two"].claims("listing") == Listing(group_name="yes")


def test_a_confirmation_after_rows_of_its_users_leaves_them_their_word() -> None:
    made = hop(root(1, "ann"), applied(5, "ann"))
    claim = made.entities["ann"].claims["directory"]["provider"][LOCAL]
    assert claim.claims("provider") == Provider(provider_id="ann", last_name="at 1")
    assert made.entities["ann"].confirmed["directory"].revision == 1


def test_a_confirmation_of_one_entity_is_never_told_to_another() -> None:
    """Revisions are counted per entity: bo would take ann's seventh for its own, and whatever it sends for held."""
    orders: list[list[Said]] = [
        [applied(1, "ann", revision=7), root(2, "ann", txid=1), root(3, "bo")],
        [root(1, "bo"), applied(2, "ann", revision=7)],
    ]
    for said in orders:
        assert hop(*said).entities["bo"].confirmed["directory"].revision == 0
    made = hop(root(1, "bo"), applied(2, "ann", revision=7), root(3, "ann", txid=2))
    assert made.entities["ann"].confirmed["directory"].revision == 7
    assert made.rows("bo") == {}


def test_rows_written_for_another_entity_leave_what_is_held_of_this_one() -> None:
    made = hop(
        root(1, "bo"), applied(2, "bo", revision=3), root(3, "bo", txid=2), applied(4, "ann", revision=7)
    )
    held = made.entities["bo"].confirmed["directory"]
    assert (held.revision, held.txid) == (3, 4)


def test_a_row_moved_between_two_local_ids_of_one_entity_is_there_whoever_is_heard_first() -> None:
    """Merging a duplicate moves its rows: one update, told as a deletion and an insertion at the same position."""
    listing = Listing(group_name="moved")
    gone, come = row(5, "listing", "one", None), row(5, "listing", "one", listing)
    for second in (False, True):
        told: list[Said] = []
        for moved in (come, gone) if second else (gone, come):
            local = Entity("directory.provider", LOCAL)
            for said in (root(1, "ann"), moved):
                _, outputs = rekey.take(local, said, "claims.directory", 0)
            found = rekeyed.decode(outputs[0].key, outputs[0].value)
            assert isinstance(found, Change)
            told.append(found)
        ann = Entity("provider", "ann")
        for change in told:
            assert isinstance(change, Change)
            aggregate(ann, change)
        assert ann.claims["directory"]["listing"]["one"].image("listing") == listing
