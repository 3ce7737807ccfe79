"""Every row of the authority file is shown by a scenario, and every system that holds what it doesn't own edits it in one.

Enumerated from authority.toml and the mappings: a row or a mapped column that is added later fails here until a file of
tests/behavior/authority shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.authority import FieldAuthority, load_rules
from schemas.catalog import load_mapping
from streams.core.authority import Rule
from streams.operate.scenario import Scenario, load
from tests.world import AUTHORITY

FOLDER = Path(__file__).parents[1] / "behavior" / "authority"
FILES = sorted(FOLDER.glob("*.toml"))
RULES = load_rules()


def rows() -> dict[tuple[str, int], list[FieldAuthority]]:
    """The fields of each row of the file, by record and line."""
    found: dict[tuple[str, int], list[FieldAuthority]] = defaultdict(list)
    for field in RULES:
        found[field.record, field.line].append(field)
    return found


def shown() -> dict[tuple[str, int], list[Scenario]]:
    """The scenarios that say they show a row."""
    found: dict[tuple[str, int], list[Scenario]] = defaultdict(list)
    for path in FILES:
        scenario = load(path)
        record, _, field = scenario.row.partition(".")
        found[record, RULES.records[record][field].line].append(scenario)
    return found


def said(scenario: Scenario) -> Iterator[tuple[str, str, str]]:
    """(system, record, field) of everything that is edited or claimed in a scenario."""
    for when in scenario.when:
        for claim in when.claim:
            yield from ((claim.by, claim.record, field) for field in claim.values or {})
        for change in when.change:
            table = load_mapping(when.system).tables[change.table]
            columns = table.columns if change.delete else change.row.keys() & table.columns.keys()
            yield from ((when.system, *table.target(column)) for column in columns)


ROWS, SHOWN = rows(), shown()
each_row = pytest.mark.parametrize("place", ROWS, ids=lambda place: f"{place[0]}.{ROWS[place][0].field}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_says_in_a_sentence_which_row_it_shows(path: Path) -> None:
    scenario = load(path)
    record, _, field = scenario.row.partition(".")
    assert field in RULES.records.get(record, {}), "row = a field of authority.toml"
    assert path.stem == scenario.row or "_" in path.stem
    assert " " in scenario.title
    assert scenario.why


@each_row
def test_a_row_is_shown_by_a_scenario_in_which_somebody_else_has_a_word(place: tuple[str, int]) -> None:
    names = {field.field for field in ROWS[place]}
    words = [word for scenario in SHOWN[place] for word in said(scenario)]
    assert SHOWN[place], "write tests/behavior/authority/<record>.<field>.toml"
    others = {s for s, record, field in words if record == place[0] and field in names} - {
        field.owners[0] for field in ROWS[place]
    }
    assert others, "nobody but the owner says anything of it"


@each_row
def test_each_system_that_holds_what_it_does_not_own_edits_it(place: tuple[str, int]) -> None:
    words = {word for scenario in SHOWN[place] for word in said(scenario)}
    for system in {system for field in ROWS[place] for system in field.write if judged(field, system)}:
        mine = {(system, f.record, f.field) for f in ROWS[place] if judged(f, system)}
        assert mine & words, f"no scenario in which {system} edits one of {sorted(m[2] for m in mine)}"


def judged(field: FieldAuthority, system: str) -> bool:
    """Whether an edit of this system's is judged: the platform writes the field there, and it isn't the system's own."""
    rule: Rule = AUTHORITY.rules[field.record][field.field]
    return field.write.get(system, "never") != "never" and system not in rule.sole
