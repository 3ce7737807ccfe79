"""What a contributor may ask of the schemas and contracts: do they hold, are they sealed, may they be published.

    schemas/gate, topic_contract, provenance, contracts --check--> every problem at once --> `concord schema check`, CI

Needs no service. Only `publish` speaks to a registry, and only when there is no problem.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from schemas import contracts as contracts_of_decide
from schemas import gate, registry, topic_contract, versions
from schemas.avro_type import fields
from schemas.catalog import load_catalog
from schemas.evolution import CLASSES
from schemas.problem import Problem, refuse
from schemas.topic_contract import TopicContract
from schemas.versions import Version
from streams import avro
from streams.errors import InvalidInput
from streams.operate.provenance import PROVENANCE
from streams.settings import LOOPBACK, Settings, need
from streams.topics import CATALOGUE, DAY, HOUR

HERE = topic_contract.HERE
TOPICS = {topic.name: topic for topic in CATALOGUE}


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdict: warnings leave it sound."""

    folder: str
    schemas: int
    versions: int
    contracts: int
    parsers: list[str]
    unsealed: list[str]
    problems: list[Problem]

    @property
    def sound(self) -> bool:
        """Whether nothing stands against publishing."""
        return all(problem.warning for problem in self.problems)


def check(folder: Path | None = None) -> Checked:
    """Every schema and contract of a folder like schemas/; of the one shipped without a name."""
    root = folder or HERE
    if not root.is_dir():
        raise InvalidInput(
            "schema.folder", f"{root} is no folder", "name one with *.avsc, view/ and contract/"
        )
    contracts, problems = topic_contract.read(root)
    found, judged = gate.problems(root, topic_contract.clearance(contracts))
    newest = {stem: history[-1] for stem, history in versions.histories(found).items()}
    problems += judged
    for version in newest.values():
        problems += [*_unwritable(version), *_underclassed(version)]
    for contract in contracts:
        problems += [*_keyless(contract, newest.get(contract.stem)), *_forgetful(contract)]
    if (root / "canonical.toml").exists():
        problems += contracts_of_decide.problems(root)
    sealed = versions.digests(root)
    open_ones = [version.file for version in found if version.file not in sealed]
    parsers = versions.parsers()
    return Checked(str(root), len(newest), len(found), len(contracts), parsers, open_ones, problems)


def seal(folder: Path | None = None) -> list[str]:
    """The files sealed now; InvalidInput while anything is wrong."""
    root = folder or HERE
    wrong = [p for p in check(root).problems if not p.warning and p.code != "schema.not_sealed"]
    if wrong:
        refuse(wrong)
    return versions.seal(root, versions.read(root)[0])


def publish(settings: Settings, *, in_ci: bool, force: bool = False) -> list[registry.Published]:
    """Register what is new. In a registry others use only from CI, and only what is sealed."""
    url = need(settings.registry, "CONCORD_REGISTRY")
    checked = check()
    if not checked.sound:
        refuse([problem for problem in checked.problems if not problem.warning])
    if urlsplit(url).hostname not in LOOPBACK and not force:
        _require_release(checked, in_ci)
    client = registry.connect(url)
    return registry.publish(client, registry.schema_files(prefix=settings.topic_prefix))


def _require_release(checked: Checked, in_ci: bool) -> None:
    if not in_ci:
        said = "this registry is not on this machine, and a schema that others may read is published from CI only"
        raise InvalidInput(
            "schema.publish_by_hand", said, "merge the change and let CI publish it; else --force"
        )
    if checked.unsealed:
        said = f"not sealed: {', '.join(checked.unsealed)}"
        raise InvalidInput(
            "schema.not_sealed", said, "run `concord schema seal` and commit schemas/sealed.sha256"
        )


def _unwritable(version: Version) -> Iterator[Problem]:
    """What a worker couldn't write: it would refuse to start."""
    try:
        avro.encoder(version.schema)
    except InvalidInput as fault:
        why = "a worker would refuse to start"
        yield Problem("schema.not_written", f"schemas/{version.file}", fault.message, why, fault.next_step)


def _underclassed(version: Version) -> Iterator[Problem]:
    """Fields whose class is below that of the canonical field they are made of (Invariant 11)."""
    view, _, kind = version.stem.partition(".")
    leaves = PROVENANCE.get((view, kind), {})
    catalog = load_catalog()
    for path, field in fields(version.tree):
        for source in leaves[path].sources if path in leaves else ():
            known = catalog.field(*source.split(".", 1))
            if known and field.cls in CLASSES and CLASSES.index(known.cls) > CLASSES.index(field.cls):
                what = f"class {field.cls}, and {source} is {known.cls}"
                why = "masking and access follow the class: without it a restricted value would be shown"
                where = f"schemas/{version.file}:{path}"
                yield Problem("schema.class_dropped", where, what, why, f'write "class": "{known.cls}"')


def _keyless(contract: TopicContract, newest: Version | None) -> Iterator[Problem]:
    """The contract's key is a text of every record, or made of several: `{kind}/{id}`."""
    if newest is None:
        return
    kinds = {field.name: field.type.kind for field in newest.tree.fields}
    named = re.findall(r"{(\w+)}", contract.said.key) or [contract.said.key]
    if any(kinds.get(name) != "string" for name in named):
        where = f"schemas/contract/{contract.topic}.toml:1"
        what = f"key {contract.said.key} is no text that every record of {newest.file} has"
        why = "consumers find an entity by its key"
        fix = f"name one of: {', '.join(sorted(name for name, kind in kinds.items() if kind == 'string'))}"
        yield Problem("contract.key", where, what, why, fix)


def _forgetful(contract: TopicContract) -> Iterator[Problem]:
    """What the topic catalogue keeps for a shorter time than the contract promises."""
    promised, kept = contract.said.retention, TOPICS[contract.topic].config
    history = "min.compaction.lag.ms" if kept["cleanup.policy"] == "compact" else "retention.ms"
    hours = math.inf if promised.history_hours == "unlimited" else promised.history_hours
    tombstones = (promised.tombstone_days or 0) * DAY
    for key, wanted in ((history, hours * HOUR), ("delete.retention.ms", tombstones)):
        if _milliseconds(kept.get(key, "0")) < wanted:
            where = f"schemas/contract/{contract.topic}.toml:1"
            what = f"{wanted} ms are promised, the topic has {key}={kept[key]}"
            why = "a consumer that was away for as long as it may be would miss records"
            yield Problem(
                "contract.retention", where, what, why, "promise less, or raise it in streams/topics.py"
            )


def _milliseconds(kept: str) -> float:
    """Kafka writes -1 for ever."""
    return math.inf if kept == "-1" else int(kept)
