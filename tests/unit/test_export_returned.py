"""Receipt files that systems send back: taken whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import InvalidInput
from streams.operate.export.returned import Returned, read, receipt

GOOD = '{"kind": "provider", "id": "a-1", "revision": 3, "outcome": "applied"}'
REFUSED = '{"kind": "location", "id": "a-2", "revision": 4, "outcome": "failed", "code": "directory.zip", "message": "62701"}'


def test_lines_become_receipts_without_the_systems_own_text(tmp_path: Path) -> None:
    file = tmp_path / "receipts.jsonl"
    file.write_text(f"{GOOD}\n\n{REFUSED}\n")
    applied, failed = (receipt("directory", line, "sink", "now") for line in read("directory", file))
    assert (applied.entity_id, applied.revision, applied.outcome, applied.code) == (
        "a-1",
        3,
        "applied",
        "target.applied",
    )
    assert (failed.outcome, failed.code, "62701" in failed.message) == ("failed", "directory.zip", False)


@pytest.mark.parametrize(
    "bad",
    ["{}", "not json", GOOD.replace("3", '"3"'), GOOD.replace("3", "-1"), GOOD.replace("applied", "done"),
     GOOD.replace("provider", "payer"), GOOD.replace("a-1", ""), REFUSED.replace("directory.zip", "ZIP 62701"), "\xff"],
)  # fmt: skip
def test_one_bad_line_refuses_the_file_and_is_named_without_its_content(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "receipts.jsonl"
    file.write_text(f"{GOOD}\n{bad}\n", encoding="latin-1")
    with pytest.raises(InvalidInput) as refused:
        read("directory", file)
    assert "1 bad lines: line 2" in refused.value.message
    assert "62701" not in str(refused.value)


def test_a_file_that_is_not_there_or_a_system_nobody_knows_is_wrong_input(tmp_path: Path) -> None:
    for system, name in (("directory", "none"), ("nowhere", "none")):
        with pytest.raises(InvalidInput):
            read(system, tmp_path / name)
    assert Returned("provider", "a", 1, "applied").code == ""
