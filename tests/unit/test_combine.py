"""Combining what several owners say: by order of precedence, as a union, by the strictest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.combine import STRICTEST, combine, element_name

codes = st.sampled_from(["en", "es", "EN", " fr", {"code": "en"}, {"code": "pl", "proficiency": "50"}])
lists = st.none() | st.lists(codes, max_size=4)
texts = st.sampled_from([None, "", "a", "b"])
says = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), texts), max_size=4)


@given(says)
def test_the_first_in_precedence_that_says_something_is_heard(said: list[tuple[str, Any]]) -> None:
    words = [value for _, value in said if value]
    assert (combine("precedence", "phone", said) or None) == (words[0] if words else None)


@given(says, says)
def test_who_comes_later_in_precedence_changes_nothing_once_somebody_spoke(
    said: list[tuple[str, Any]], later: list[tuple[str, Any]]
) -> None:
    before = combine("precedence", "phone", said)
    if before:
        assert combine("precedence", "phone", [*said, *later]) == before


@given(st.lists(lists, max_size=4))
def test_a_union_has_every_element_once_in_the_words_of_the_first_that_names_it(said: list[Any]) -> None:
    spoken = [(str(n), elements) for n, elements in enumerate(said)]
    names = [element_name(e) for elements in said for e in elements or ()]
    found = combine("union", "languages", spoken)
    if len([e for e in said if e is not None]) > 1:
        assert [element_name(e) for e in found or ()] == list(dict.fromkeys(names))
        first = {element_name(e): e for elements in reversed(said) for e in reversed(elements or ())}
        assert [first[element_name(e)] for e in found or ()] == (found or [])


@given(lists.filter(bool), lists)
def test_a_union_with_itself_is_itself_and_order_changes_no_member(one: Any, other: Any) -> None:
    """Idempotent and commutative but for the wording: a replay or another order of owners adds nothing."""
    both = combine("union", "languages", [("a", one), ("b", other)])
    again = combine("union", "languages", [("a", both), ("b", other)])
    swapped = combine("union", "languages", [("a", other), ("b", one)])
    assert {element_name(e) for e in again} == {element_name(e) for e in both}
    assert {element_name(e) for e in swapped} == {element_name(e) for e in both}


@given(st.permutations([*STRICTEST, "active"]))
def test_the_strictest_state_stands_whoever_says_it(states: list[str]) -> None:
    assert combine("most_restrictive", "status", [(s, s) for s in states]) == "revoked"
    assert combine("most_restrictive", "status", [("a", "active"), ("b", states[0])]) == states[0]


@given(st.dates(), st.dates())
def test_the_earliest_end_stands_whoever_says_it(one: Any, other: Any) -> None:
    said = [("a", one.isoformat()), ("b", other.isoformat())]
    assert combine("most_restrictive", "effective_to", said) == min(one, other).isoformat()


@pytest.mark.parametrize("kind", ["precedence", "union", "most_restrictive", "source_of_truth", "manual"])
def test_who_speaks_alone_is_taken_at_his_word_and_nobody_says_nothing(kind: str) -> None:
    assert combine(kind, "languages", [("a", None), ("b", ["x"])]) == ["x"]
    assert combine(kind, "languages", [("a", None)]) is None
    assert combine(kind, "languages", []) is None
