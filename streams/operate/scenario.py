"""Scenarios as data: given rows, when transactions commit, then views, findings and verdicts.

    concord test tests/behavior/*.toml

Runs the real decide hop in memory (operate.sandbox). A stakeholder reads and writes these files without Python:

    title = "A practice moves"
    row = "location.line1"                   # optional: the row of authority.toml it shows, by one of its fields
    use = ["given/clinic.toml"]              # rows shared by several scenarios
    [[given]]                                # read by the initial snapshot
    table = "provider"
    row = { provider_id = "p1", npi = "1234567893", ... }
    [[when]]                                 # one transaction
    on = 2026-06-01                          # its commit date: what today is to the rules
    change = [{ table = "license", row = { license_id = "l1", provider_id = "p1", expires = 2028-01-01 } }]
    then = { ... }                           # optional: as below, right after this transaction
    [[when]]                                 # or what a witness, or a system of which nothing is captured yet, says
    on = 2026-06-02
    claim = [{ by = "nppes", of = "provider/p1", record = "nppes", row = "1234567893", values = { entity_type = "1" } }]
    [[when]]                                 # or no transaction: the clock says that it is this day
    tick = 2026-09-01
    [[when]]                                 # or somebody edits another system (needs `targets`), named by its own
    on = 2026-06-02                          # id or by its cross reference to the master
    system = "directory"                     # deliveries = 0: its adapter stands still meanwhile
    change = [{ table = "dir_provider", row = { cred_provider_ref = "p1", last_name = "Roe" } }]
    trigger = [{ table = "dir_provider", row = { gender = "X" } }]    # from now on it writes this over every write
    [[when]]                                 # or people rule on proposals (needs "stewardship" among the targets)
    on = 2026-06-03                          # decision: approve | reject | lock (refused for good) | withdraw
    ruling = [{ of = "provider/p1", on = "directory/provider/1/degree", by = "pat", role = "data_steward",
                decision = "approve" }]              # with effective_date, evidence, until, where it takes them
    [[when]]                                 # or the master says what became of the change that it was asked for
    on = 2026-06-03
    change = [{ table = "concord_request", row = { request_id = "directory/provider/1/degree", kind = "provider",
                entity_id = "p1", field = "degree", outcome = "missed" } }]
    [[when]]                                 # or an adapter says what became of the view a system was sent last
    on = 2026-06-04                          # (`revision`: of an older one): applied | failed, with code and message;
    receipt = [{ by = "directory", of = "provider/p1", outcome = "applied" }]    # of system/<name>: paused | resumed
    [then]
    verdict = { "provider/p1" = "pass" }     # pass | hold CODE ... | withdraw REASON; by system where they differ:
                                             # "billing hold X; directory withdraw X; enrollment pass"; of the
                                             # systems only those named are looked at
    findings = { "provider/p1" = [] }        # every open finding: "CODE record/row/field", of a proposal that ended
                                             # "CODE proposal/(directory/provider/1/degree)"
    [then.view."directory/provider/p1"]      # the fields named are equal; lists have this many items, in this order
    display_name = "Ann B. Example, MD"
    [then.held."directory/provider/p1"]      # the columns of a target's root row, or of "directory/dir_listing/1", by
    last_name = "Example"                    # its own id; needs `targets`
    [then.golden."provider/p1 license/l1"]   # what is true of a row of a record; no fields: there is no such row
    status = "active"
    # parity = { "directory/provider/p1" = "in_flight" }    how a system stands to its view
    # told = ["directory/provider.last_name pending_approval"]   every rejection so far

A changed row keeps the columns that are not named; "(none)" is null, "(not delivered)" an unchanged large value.
`delete = true` deletes it. A claim is whole; without values its row is gone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import asdict
from pydantic import BaseModel, ConfigDict, Field, model_validator

from connectors.envelope import UNAVAILABLE, Change, Op
from connectors.stewardship.verdict import Decision, Word
from schemas import strict
from schemas.catalog import load_mapping
from schemas.place import Path as Place
from schemas.place import Places
from schemas.problem import Problem, refuse
from streams.core.gate import Hold, Verdict, Verdicts, Withdraw
from streams.core.receipt import Receipt
from streams.core.witness import Said
from streams.errors import InvalidInput
from streams.operate import scenario_check
from streams.operate.sandbox import SYSTEM, Sandbox

EPOCH = date(1970, 1, 1)


class Outside(BaseModel):
    """Base of what a file holds: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RowFile(Outside):
    """A row by column; dates may be written as TOML dates."""

    table: str
    row: dict[str, Any]
    delete: bool = False


class ClaimFile(Outside):
    """What somebody but the master says of an entity `kind/id`."""

    by: str
    of: str
    record: str
    row: str
    values: dict[str, Any] | None = None

    def said(self, number: int) -> Said:
        """As topic `claims.witness` has it; a later claim wins."""
        kind, _, entity_id = self.of.partition("/")
        values = {n: _plain(v) for n, v in self.values.items()} if self.values is not None else None
        return Said(self.by, kind, entity_id, self.record, self.row, (1, 0, number), values=values)


class RulingFile(Outside):
    """Somebody's word on a proposal of the entity `kind/id`: `on` is its `system/record/row/field`."""

    of: str
    on: str
    by: str
    role: str
    decision: Decision
    evidence: dict[str, str] = Field(default_factory=dict)
    effective_date: date | None = None
    until: date | None = None

    def word(self, day: date | None) -> Word:
        """What is said, at noon of the day."""
        on, until = (str(d) if d else "" for d in (self.effective_date, self.until))
        at = f"{day}T12:00:00+00:00"
        return Word(self.by, self.role, self.decision, "", self.evidence, on, until, at)


class ReceiptFile(Outside):
    """What became of a view of `kind/id` in a system; without a revision, of the last one it was sent."""

    by: str
    of: str
    outcome: str
    revision: int | None = None
    code: str = ""
    message: str = ""

    def said(self) -> Receipt:
        """As topic `receipt` has it."""
        kind, _, entity_id = self.of.partition("/")
        return Receipt(self.by, kind, entity_id, self.outcome, self.revision, self.code, self.message)


class Then(Outside):
    """What must hold."""

    verdict: dict[str, str] = Field(default_factory=dict)
    findings: dict[str, list[str]] = Field(default_factory=dict)
    finding: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """'kind/id code subject' -> fields of what was last said of it; `times`: how often something was said"""
    view: dict[str, dict[str, Any]] = Field(default_factory=dict)
    absent: list[str] = Field(default_factory=list)
    quarantined: list[str] | None = None
    held: dict[str, dict[str, Any]] = Field(default_factory=dict)
    golden: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """'kind/id record/row' -> fields of what is true of it; no fields: there is no such row"""
    parity: dict[str, str] = Field(default_factory=dict)
    """'system/kind/id' -> its state (core/parity.py)"""
    told: list[str] | None = None
    rejected: list[str] | None = None
    """the same with the values as their authors read them: `system/record.field: offered for current`"""


class When(Outside):
    """One transaction on a day, what others say on it, or a tick of the clock."""

    on: date | None = None
    system: str = SYSTEM
    change: list[RowFile] = Field(default_factory=list)
    claim: list[ClaimFile] = Field(default_factory=list)
    ruling: list[RulingFile] = Field(default_factory=list)
    receipt: list[ReceiptFile] = Field(default_factory=list)
    tick: date | None = None
    deliveries: int | None = None
    trigger: list[RowFile] | None = None
    then: Then = Then()

    @model_validator(mode="after")
    def _one_of_both(self) -> When:
        done = bool(self.change or self.claim or self.ruling or self.receipt)
        if (self.on is None) == (self.tick is None) or done != (self.on is not None):
            raise ValueError(
                "a step is a transaction (`on` and `change`), claims (`on` and `claim`), rulings (`on` and "
                "`ruling`), receipts (`on` and `receipt`) or a `tick`"
            )
        return self

    @property
    def day(self) -> int:
        """Its date, in days since 1970."""
        day = self.on or self.tick
        assert day is not None
        return (day - EPOCH).days


class Scenario(Outside):
    """One file."""

    title: str
    why: str = ""
    row: str = ""
    """the row of authority.toml it shows, by one of its fields: `location.phone`"""
    use: list[str] = Field(default_factory=list)
    targets: list[str] = Field(default_factory=list)
    given: list[RowFile] = Field(default_factory=list)
    when: list[When]
    then: Then = Then()


class Shared(Outside):
    """Rows several scenarios use."""

    given: list[RowFile]


@dataclass(frozen=True, slots=True)
class Result:
    """How one scenario went; `problems` is empty when it holds."""

    path: Path
    title: str
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems


def run(paths: Sequence[Path]) -> list[Result]:
    """Run every scenario; InvalidInput names a file that can't be read."""
    return [run_one(path) for path in paths]


def run_one(path: Path) -> Result:
    """Run one scenario in a store of its own."""
    scenario = load(path)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox(Path(folder) / "store", scenario.targets)
        try:
            return Result(path, scenario.title, list(play(scenario, sandbox)))
        finally:
            sandbox.close()


def load(path: Path) -> Scenario:
    """The scenario of a file, with the rows it uses; InvalidInput names every problem with its line."""
    scenario = _read(path, Scenario)
    shared = [row for name in scenario.use for row in _read(path.parent / name, Shared).given]
    return scenario.model_copy(update={"given": [*shared, *scenario.given]})


File = TypeVar("File", "Scenario", "Shared")


def _read(path: Path, shape: type[File]) -> File:
    try:
        text = path.read_text("utf-8")
    except OSError as fault:
        raise InvalidInput("scenario.unreadable", f"{path}: {fault.strerror}", "check the path") from fault
    except UnicodeDecodeError as fault:
        raise InvalidInput("scenario.unreadable", f"{path}: no text", "write it in UTF-8") from fault
    read, places, problems = strict.parse(shape, text, str(path), "scenario")
    if read is not None:
        problems = list(_problems(read, places, str(path)))
    if read is None or problems:
        refuse(problems)
    return read


def _problems(read: Scenario | Shared, places: Places, file: str) -> Iterator[Problem]:
    """Names that nothing knows."""
    for number, row in enumerate(read.given):
        yield from scenario_check.of_row(SYSTEM, row, ("given", number), places, file)
    if isinstance(read, Shared):
        return
    for number, when in enumerate(read.when):
        for row in when.change:
            yield from scenario_check.of_row(when.system, row, ("when", number, "change"), places, file)
        yield from _codes(when.then, ("when", number, "then"), places, file)
    yield from _codes(read.then, ("then",), places, file)


def _codes(then: Then, at: Place, places: Places, file: str) -> Iterator[Problem]:
    for found in (line for lines in then.findings.values() for line in lines):
        yield from scenario_check.of_code(found, (*at, "findings"), places, file)
    for name in then.finding:
        found = name.partition(" ")[2]
        yield from scenario_check.of_code(found, (*at, "finding", name), places, file)


def play(scenario: Scenario, sandbox: Sandbox) -> Iterator[str]:
    """Its steps in a sandbox; what doesn't hold."""
    rows = Rows()
    sandbox.at(scenario.when[0].day if scenario.when else 0)
    sandbox.snapshot([rows.change(row) for row in scenario.given])
    for number, when in enumerate(scenario.when, 1):
        _step(number, when, rows, sandbox)
        yield from (f"after step {number}: {problem}" for problem in _check(when.then, sandbox))
    yield from _check(scenario.then, sandbox)


def _step(number: int, when: When, rows: Rows, sandbox: Sandbox) -> None:
    if when.tick is not None or when.claim:
        sandbox.tick(when.day)
    if when.tick is not None:
        return
    sandbox.at(when.day)
    sandbox.deliveries = when.deliveries
    if when.trigger is not None and when.system in sandbox.targets:
        sandbox.targets[when.system].triggers = {t.table: t.row for t in when.trigger}
    if when.change and when.system == SYSTEM:
        sandbox.commit([rows.change(_asked(row, sandbox)) for row in when.change])
    elif when.change:
        for row in when.change:
            _edit(when.system, row, sandbox)
    for ruling in when.ruling:
        _rule(ruling, when.on, sandbox)
    for receipt in when.receipt:
        sandbox.receive(receipt.said())
    if when.claim:
        sandbox.tell([_numbered_claim(claim, sandbox).said(number) for claim in when.claim])


def _numbered_claim(claim: ClaimFile, sandbox: Sandbox) -> ClaimFile:
    return claim.model_copy(update={"row": _numbered(claim.row, sandbox)})


def _rule(ruling: RulingFile, day: date | None, sandbox: Sandbox) -> None:
    try:
        sandbox.rule(ruling.of, ruling.on, ruling.word(day))
    except (KeyError, ValueError) as fault:
        step = 'see which proposals are open, and write targets = [..., "stewardship"] at the top of the file'
        raise InvalidInput("scenario.ruling", f"{ruling.of} {ruling.on}: {fault}", step) from fault


def _asked(row: RowFile, sandbox: Sandbox) -> RowFile:
    """A request of the master's is named by the proposal it carries out."""
    if row.table != "concord_request":
        return row
    number = sandbox.number(row.row["request_id"])
    return row.model_copy(update={"row": {**row.row, "request_id": number}})


def _edit(system: str, row: RowFile, sandbox: Sandbox) -> None:
    if system not in sandbox.targets:
        step = f'write targets = ["{system}"] at the top of the file'
        raise InvalidInput("scenario.system", f"{system} takes no part in this scenario", step)
    sandbox.edit(system, row.table, {c: _cell(v) for c, v in row.row.items()}, delete=row.delete)


class Rows:
    """The rows as they stand in the source, so that a change may name only what it changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def change(self, row: RowFile) -> Change:
        table = load_mapping(SYSTEM).tables[row.table]
        name = (row.table, str(row.row.get(table.row)))
        before = self._known.get(name)
        merged = self._known[name] = {**(before or {}), **{c: _cell(v) for c, v in row.row.items()}}
        op: Op = "d" if row.delete else "c" if before is None else "u"
        return Change(row.table, merged, op)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _cell(value: Any) -> Any:
    """What TOML can't write: null, and a large value that capture leaves out."""
    return UNAVAILABLE if value == "(not delivered)" else _null(_plain(value))


def _check(then: Then, sandbox: Sandbox) -> Iterator[str]:
    for name, wanted in then.view.items():
        found = sandbox.told.views.get(name)
        yield from (
            [f"view {name}: none was sent"] if found is None else _differences(wanted, found, f"view {name}")
        )
    for name in then.absent:
        if name in sandbox.told.views:
            yield f"view {name}: one was sent"
    for name, codes in then.findings.items():
        open_now = sorted(sandbox.told.findings.get(name, ()))
        wanted_now = sorted(_numbered(code, sandbox) for code in codes)
        if open_now != wanted_now:
            yield f"findings {name}: {open_now}, wanted {wanted_now}"
    for name, wanted in then.finding.items():
        last = sandbox.told.said.get(name)
        yield from (
            [f"finding {name}: none"] if last is None else _differences(wanted, last, f"finding {name}")
        )
    for name, words in then.verdict.items():
        said = _said(sandbox.verdicts(name), words)
        if said != words:
            yield f"verdict {name}: {said!r}, wanted {words!r}"
    for name, columns in then.held.items():
        system, _, entity = name.partition("/")
        yield from _differences(columns, sandbox.targets[system].held(entity), f"held {name}")
    for name, fields in then.golden.items():
        yield from _golden(name, fields, sandbox)
    for name, state in then.parity.items():
        yield from _parity(name, state, sandbox)
    if then.told is not None:
        told = [f"{r['system']}/{r['record']}.{r['field']} {r['outcome']}" for r in sandbox.told.rejections]
        if told != then.told:
            yield f"told: {told}, wanted {then.told}"
    if then.rejected is not None:
        shown = [_rejected(r) for r in sandbox.told.rejections]
        if shown != then.rejected:
            yield f"rejected: {shown}, wanted {then.rejected}"
    if then.quarantined is not None and sandbox.told.quarantined != then.quarantined:
        yield f"quarantined: {sandbox.told.quarantined}, wanted {then.quarantined}"


def _numbered(finding: str, sandbox: Sandbox) -> str:
    """`CODE proposal/(SUBJECT)`: a proposal's number, which no author of a file knows."""
    head, mark, subject = finding.partition("(")
    return f"{head}{sandbox.number(subject.removesuffix(')'))}" if mark else finding


def _rejected(said: Mapping[str, Any]) -> str:
    values = [said[name] if said[name] is not None else "(none)" for name in ("offered", "current")]
    return f"{said['system']}/{said['record']}.{said['field']}: {' for '.join(values)}"


def _golden(name: str, wanted: dict[str, Any], sandbox: Sandbox) -> Iterator[str]:
    entity, _, place = name.partition(" ")
    record, _, row_id = place.partition("/")
    row = sandbox.golden(entity).get(record, {}).get(row_id)
    if row is None or not wanted:
        yield from (
            [] if row is None and not wanted else [f"golden {name}: {'no' if row is None else 'a'} row"]
        )
    else:
        yield from _differences(wanted, asdict(row), f"golden {name}")


def _parity(name: str, wanted: str, sandbox: Sandbox) -> Iterator[str]:
    system, _, entity_id = name.partition("/")
    entity = sandbox.entity(entity_id)
    found = entity.parity.get(system) if entity is not None else None
    state = found.state if found is not None else "unknown"
    if state != wanted:
        yield f"parity {name}: {state!r}, wanted {wanted!r}"


def _said(verdicts: Verdicts | None, wanted: str) -> str:
    """One verdict where all sinks have the same, else each by sink: `directory withdraw X; billing hold X; ...`; of
    those that are named, if any is: a scenario holds whatever other systems there are."""
    if verdicts is None:
        return "unknown"
    words = {sink: _words(verdict) for sink, verdict in verdicts.items()}
    named = {sink: said for sink, said in words.items() if sink in wanted.split()}
    if not named and len(set(words.values())) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{sink} {said}" for sink, said in sorted((named or words).items()))


def _words(verdict: Verdict) -> str:
    match verdict:
        case Hold(codes):
            return " ".join(("hold", *codes))
        case Withdraw(reason):
            return f"withdraw {reason}"
        case _:
            return "pass"


def _differences(wanted: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name, value in wanted.items():
            if name not in found:
                yield f"{path}.{name}: no such field"
            else:
                yield from _differences(value, found[name], f"{path}.{name}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (item, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(item, other, f"{path}[{number}]")
    elif _null(_plain(wanted)) != found:
        yield f"{path}: {found!r}, wanted {wanted!r}"


def _null(value: Any) -> Any:
    """TOML has no null: `"(none)"` stands for it."""
    return None if value == "(none)" else value
