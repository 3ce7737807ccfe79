"""Places: the line of every key, in the files that ship and where TOML allows more than they use."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.place import Path as Keys
from schemas.place import Places

SCHEMAS = Path(__file__).parents[2] / "schemas"
SHIPPED = sorted([*SCHEMAS.glob("*.toml"), *SCHEMAS.glob("mapping/*.toml")])


def keys(content: Any, path: Keys = ()) -> Iterator[Keys]:
    """Every key of a parsed file; an array of tables by number."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield (*path, name)
            yield from keys(value, (*path, name))
    elif isinstance(content, list) and content and isinstance(content[0], dict):
        for number, value in enumerate(content):
            yield from keys(value, (*path, number))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_every_key_of_a_shipped_file_is_found_on_a_line_that_has_it(file: Path) -> None:
    text = file.read_text("utf-8")
    places, lines = Places(text), text.splitlines()
    found = [path for path in keys(tomllib.loads(text)) if places.of(path) != places.of(path[:-1])]
    assert found
    for path in found:
        assert str(path[-1]) in lines[places.of(path) - 1]
    assert not places.twice


TEXT = """\
a = 1                      # b = 2
[one.two]
"quoted key" = "x = [1]"
list = [
    "first",               # "third"
    "second",
]
after = { in = 1, side = "}" }
[[many.rows]]
x = 1
[[many.rows]]
x = 2
[many.rows.below]
y = 3
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("one", "two"), 2),
        (("one", "two", "quoted key"), 3),
        (("one", "two", "list"), 4),
        (("one", "two", "after"), 8),
        (("one", "two", "after", "side"), 8),
        (("many", "rows", 0, "x"), 10),
        (("many", "rows", 1, "x"), 12),
        (("many", "rows", 1, "below", "y"), 14),
    ],
)
def test_a_key_has_its_line(path: Keys, line: int) -> None:
    assert Places(TEXT).of(path) == line


def test_a_path_that_is_not_there_has_the_line_of_what_would_hold_it() -> None:
    assert Places(TEXT).of(("one", "two", "missing", "deeper")) == 2
    assert Places(TEXT).of(("nowhere",)) == 1


def test_an_element_of_a_list_has_the_line_it_stands_on_and_a_comment_is_none() -> None:
    places = Places(TEXT)
    assert places.words(("one", "two", "list"), "second") == [6]
    assert places.words(("one", "two", "list"), "third") == [4]


def test_what_is_said_twice_is_told_with_both_lines() -> None:
    places = Places("[a]\nx = 1\n[b]\nx = 2\n[a]\ny = 1\nz = { k = 1, k = 2 }\n")
    assert places.twice == [(("a",), 1, 5), (("a", "z", "k"), 7, 7)]
