"""The chain of the audit: whatever is changed, taken out or moved is found, in the order in which rows were written.

The property is the right one because it is what somebody who may write the table, or edits an export, can do to it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import InvalidInput
from streams.operate.audit import export
from streams.operate.audit.chain import CHANGED, MOVED, UNREADABLE, Chain, Link, entry

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def chained(words: list[str]) -> list[Link]:
    """Rows as the database writes them."""
    links: list[Link] = []
    for number, word in enumerate(words, 1):
        previous = links[-1].hash if links else None
        said = [previous, 1_800_000_000.5 + number, "pat", word, None, None, {"why": word}]
        text = json.dumps(said, ensure_ascii=False)
        links.append(Link(number, text, hashlib.sha256(text.encode()).hexdigest()))
    return links


@given(st.lists(WORDS, max_size=8))
def test_what_nobody_touched_is_whole(words: list[str]) -> None:
    links = chained(words)
    found = Chain().walk(links)
    assert (found.broken, found.entries) == (None, len(words))
    assert found.head == (links[-1].hash if links else None)


@given(st.lists(WORDS, min_size=1, max_size=8), st.data())
def test_a_row_that_says_something_else_is_the_one_that_is_named(
    words: list[str], data: st.DataObject
) -> None:
    links = chained(words)
    which = data.draw(st.integers(0, len(links) - 1))
    said = json.loads(links[which].text)
    said[data.draw(st.integers(1, 6))] = "something else"
    links[which] = replace(links[which], text=json.dumps(said))
    found = Chain().walk(links).broken
    assert found is not None
    assert (found.audit_id, found.why) == (which + 1, CHANGED)


@given(st.lists(WORDS, min_size=2, max_size=8), st.data())
def test_a_row_that_was_changed_with_its_hash_breaks_the_chain_behind_it(
    words: list[str], data: st.DataObject
) -> None:
    links = chained(words)
    which = data.draw(st.integers(0, len(links) - 2))
    said = json.loads(links[which].text)
    text = json.dumps([said[0], said[1], "somebody else", *said[3:]])
    links[which] = Link(which + 1, text, hashlib.sha256(text.encode()).hexdigest())
    found = Chain().walk(links).broken
    assert found is not None
    assert (found.audit_id, found.why) == (which + 2, MOVED)


@given(st.lists(WORDS, min_size=2, max_size=8), st.data())
def test_a_row_that_is_missing_or_moved_is_found(words: list[str], data: st.DataObject) -> None:
    links = chained(words)
    which = data.draw(st.integers(0, len(links) - 2))
    missing = links[:which] + links[which + 1 :]
    found = Chain().walk(missing).broken
    assert found is not None
    assert (found.audit_id, found.why) == (which + 2, MOVED)
    order = data.draw(st.permutations(links).filter(lambda some: some != links))
    assert Chain().walk(order).broken is not None


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", "[" * 10_000])
def test_what_is_no_row_is_named_and_raises_nothing(text: str) -> None:
    found = Chain().walk([Link(1, text, hashlib.sha256(text.encode()).hexdigest())]).broken
    assert found is not None
    assert found.why == UNREADABLE


def exported(folder: Path, words: list[str]) -> Path:
    """A file and its manifest, as `take` writes them."""
    links, chain = chained(words), Chain()
    text = b"".join(export.line(link) for link in links)
    chain.walk(links)
    file = folder / "audit.jsonl"
    file.write_bytes(text)
    digest = hashlib.sha256(text).hexdigest()
    made = export.Manifest(1, file.name, digest, chain.entries, chain.first, chain.last, chain.head, "now")
    export.manifest_of(file).write_bytes(msgspec.json.encode(made))
    return file


def test_an_exported_file_is_whole_and_says_what_it_holds(tmp_path: Path) -> None:
    file = exported(tmp_path, ["pause", "resume"])
    assert (export.check(file).broken, export.check(file).entries) == (None, 2)
    assert entry(chained(["pause"])[0])["action"] == "pause"
    assert json.loads(file.read_text().splitlines()[0])["at"].startswith("2027-01-15T")


@given(st.lists(WORDS, min_size=1, max_size=5), st.data())
def test_a_file_that_was_changed_anywhere_is_found_without_the_database(
    tmp_path_factory: Any, words: list[str], data: st.DataObject
) -> None:
    file = exported(tmp_path_factory.mktemp("export"), words)
    lines = file.read_bytes().splitlines(keepends=True)
    which = data.draw(st.integers(0, len(lines) - 1))
    changed = {
        "taken out": lines[:which] + lines[which + 1 :],
        "twice": [*lines[: which + 1], *lines[which:]],
        "another byte": [*lines[:which], _other(lines[which], data), *lines[which + 1 :]],
    }[data.draw(st.sampled_from(["taken out", "twice", "another byte"]))]
    file.write_bytes(b"".join(changed))
    assert export.check(file).broken is not None


def _other(line: bytes, data: st.DataObject) -> bytes:
    place = data.draw(st.integers(0, len(line) - 1))
    return line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]


def test_without_its_manifest_or_with_another_file_nothing_is_said_to_be_whole(tmp_path: Path) -> None:
    file = exported(tmp_path, ["pause"])
    export.manifest_of(file).write_text("{}")
    with pytest.raises(InvalidInput, match="no manifest"):
        export.check(file)
    export.manifest_of(file).unlink()
    with pytest.raises(InvalidInput) as refused:
        export.check(file)
    assert refused.value.code == "audit.manifest"
