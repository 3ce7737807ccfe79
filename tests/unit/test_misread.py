"""Which tables may be read beside the stream: what follows is read right, or is certain to fail."""

from __future__ import annotations

import pytest

from connectors.misread import Place, is_silent

KEY = Place("id", True, "uuid", "id", "uuid", identity=True)
STATE = Place("state", False, "text", "left_out", "jsonb")
"""behind a column that isn't published"""
TIME = Place("updated_at", True, "timestamptz", "row_version", "int8")


@pytest.mark.parametrize(
    ("what", "places", "silent"),
    [
        ("all in their places", [KEY], False),
        ("one is taken for another that fits", [KEY, STATE], True),
        ("a time is never a number", [KEY, STATE, TIME], False),
        ("but may be null", [KEY, Place("ended_at", False, "timestamptz", "row_version", "int8")], True),
        ("a number is one", [KEY, Place("row_version", True, "int8", "left_out", "int8")], True),
        (
            "a delete has its identity alone",
            [Place("id", True, "uuid", "left_out", "text", True), TIME],
            True,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_may_be_read_where_no_row_after_it_is_misread_in_silence(
    what: str, places: list[Place], silent: bool
) -> None:
    assert is_silent(places) == silent, what
