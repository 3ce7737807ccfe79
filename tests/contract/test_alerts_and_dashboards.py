"""What watches Concord speaks of what Concord tells: metrics, labels, runbooks and commands exist.

ops/alerts.yml, ops/dashboards/*.json --names--> streams.metrics      docs/runbooks/*.md --commands--> the CLI
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from streams.cli.main import app
from streams.metrics import BY_NAME, NAMES
from tests.runbooks import commands
from tests.series import labels as told_with
from tests.series import metric

PROJECT = Path(__file__).resolve().parents[2]
OPS = PROJECT / "ops"
GROUPS = yaml.safe_load((OPS / "alerts.yml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
DASHBOARDS = sorted((OPS / "dashboards").glob("*.json"))
RUNBOOKS = sorted((PROJECT / "docs" / "runbooks").glob("*.md"))
PROMTOOL = shutil.which("promtool")
SELECTOR = re.compile(r"\b(concord_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def faults(expression: str) -> Iterator[str]:
    """Names and labels of an expression that nothing tells."""
    made = set(re.findall(r'label_replace\([^"]*"(\w+)"', expression))
    known: set[str] = set(made)
    for name, matchers in SELECTOR.findall(expression):
        if metric(name) not in BY_NAME:
            yield f"no metric {name}"
            continue
        known |= told_with(name)
        yield from (
            f"{name} has no label {label}"
            for label in MATCHER.findall(matchers)
            if label not in told_with(name)
        )
    for names in GROUPING.findall(expression):
        yield from (
            f"nothing here has label {n.strip()}"
            for n in names.split(",")
            if n.strip() and n.strip() not in known
        )


def shown() -> Iterator[tuple[str, str]]:
    """Each expression of a dashboard, with the panel it stands in."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target["expr"]


def queried(text: str) -> list[str]:
    """The queries of an annotation's template."""
    return re.findall(r"(?:printf \"|query `)([^\"`]+)", text)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_speaks_of_what_is_told(name: str) -> None:
    rule = RULES[name]
    queries = [query for text in rule["annotations"].values() for query in queried(text)]
    assert [f for expression in (rule["expr"], *queries) for f in faults(expression)] == []


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_bad_what_how_much_and_where_to_read_on(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "value", "runbook"}
    assert re.fullmatch(r"[^\n]+\.", rule["annotations"]["summary"])
    assert "{{" in rule["annotations"]["value"]
    page = PROJECT / rule["annotations"]["runbook"]
    assert page.read_text().startswith(f"# {name}\n")


def test_no_alert_is_on_how_many_records_wait() -> None:
    counts = {"concord_input_lag_records", "concord_adapter_lag_records", "concord_capture_lag_bytes"}
    assert not [
        name for name, rule in RULES.items() if counts & {m for m, _ in SELECTOR.findall(rule["expr"])}
    ]


def test_every_alert_has_a_test_that_it_rings_and_one_that_it_is_silent() -> None:
    cases = yaml.safe_load((OPS / "alerts_test.yml").read_text())["tests"]
    expected = [case for test in cases for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in expected if case["exp_alerts"]} == set(RULES)
    assert {case["alertname"] for case in expected if not case["exp_alerts"]} == set(RULES)


@pytest.mark.parametrize(("where", "expression"), list(shown()), ids=[f"{w} {e}" for w, e in shown()])
def test_a_dashboard_shows_what_is_told(where: str, expression: str) -> None:
    assert list(faults(expression)) == [], where


def test_a_misspelt_metric_or_label_would_be_found() -> None:
    assert list(faults('max by (hob) (concord_hop_state{stat="stopped"})')) == [
        "concord_hop_state has no label stat",
        "nothing here has label hob",
    ]
    assert list(faults("concord_hop_stat == 1")) == ["no metric concord_hop_stat"]


def test_every_metric_is_named_as_prometheus_asks() -> None:
    units = ("_seconds", "_bytes", "_ratio", "_total", "_records", "_rows", "_entities", "_bytes_max")
    states = re.compile(
        r"_(state|unknown|stopped|open|balanced|failing|circuit|paused|dirty|due|left|processes)$"
    )
    odd = {"concord_hop_lag_velocity", "concord_processes", "concord_parity_field_differences"}
    named = [n.name for n in NAMES if not n.name.endswith(units) and not states.search(n.name)]
    assert set(named) <= odd
    assert all(re.fullmatch(r"concord_[a-z0-9_]+", n.name) for n in NAMES)
    assert len(BY_NAME) == len(NAMES)


def test_every_dashboard_has_its_own_name_and_says_what_it_shows() -> None:
    found = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({board["uid"] for board in found}) == len(found) == 4
    assert all(board["description"] and not board["editable"] for board in found)


def test_the_page_on_monitoring_has_every_metric_every_alert_and_what_they_say() -> None:
    lines = (PROJECT / "docs" / "monitoring.md").read_text().splitlines()
    rows = [f"| `{n.name}` | {', '.join(n.labels)} | {n.text} |" for n in NAMES]
    assert [row for row in rows if row not in lines] == []
    alerts = {line.partition("[")[2].partition("]")[0]: line for line in lines if "](runbooks/" in line}
    assert set(alerts) == set(RULES)
    assert all(f"| {rule['labels']['severity']} |" in alerts[name] for name, rule in RULES.items())


# ---- runbooks ----


def test_every_runbook_is_one_of_an_alert() -> None:
    linked = {PROJECT / rule["annotations"]["runbook"] for rule in RULES.values()}
    assert linked == set(RUNBOOKS)


@pytest.mark.parametrize("page", RUNBOOKS, ids=[page.stem for page in RUNBOOKS])
def test_a_runbook_says_what_it_means_what_is_lost_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    places = [
        text.index(part)
        for part in ("**What it means.**", "**Is anything lost?**", "## Look", "## Do", "## After")
    ]
    assert places == sorted(places)


def refusal(command: str) -> str:
    """Why the CLI doesn't have a command; empty when it does."""
    here: Any = typer.main.get_command(app)
    words = shlex.split(command)[1:]
    while words and words[0] in getattr(here, "commands", {}):
        here = here.commands[words.pop(0)]
    if hasattr(here, "commands"):
        return f"no command {command!r}"
    options = {name for parameter in here.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in words if word.startswith("--") and word not in options]
    takes = any(parameter.param_type_name == "argument" for parameter in here.params)
    bare = [word for word in words[:1] if not word.startswith("--") and not takes]
    return f"{command!r}: {here.name} has no {' '.join([*unknown, *bare])}" if unknown or bare else ""


@pytest.mark.parametrize("page", RUNBOOKS, ids=[page.stem for page in RUNBOOKS])
def test_the_commands_of_a_runbook_exist(page: Path) -> None:
    found = commands(page.read_text())
    assert found
    assert [why for command in sorted(found) if (why := refusal(command))] == []


@pytest.mark.parametrize("page", RUNBOOKS, ids=[page.stem for page in RUNBOOKS])
def test_the_links_and_metrics_of_a_runbook_exist(page: Path) -> None:
    text = page.read_text()
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert [target for target in targets if not (page.parent / target).exists()] == []
    assert [name for name in re.findall(r"\bconcord_\w+", text) if metric(name) not in BY_NAME] == []


def test_a_command_that_is_not_there_would_be_found() -> None:
    assert refusal("concord resync")
    assert refusal("concord status --loud")
    assert refusal("concord sources status SYSTEM") == ""


# ---- promtool ----


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on PATH (Debian's package prometheus has it)")
@pytest.mark.parametrize("words", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_promtool_agrees(words: list[str]) -> None:
    found = subprocess.run([str(PROMTOOL), *words], cwd=OPS, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
