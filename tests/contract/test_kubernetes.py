"""ops/kubernetes is the same platform as docker-compose.yml: versions, settings, processes; nothing secret, nobody reachable
who needn't be, and nothing told to a process that it doesn't know. No cluster is asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack import settings
from stack.connect import CONFIG as CONNECT_CONFIG
from stack.versions import pinned
from streams.settings import Api, KafkaLogin, Settings
from streams.systems import ADAPTERS, SYSTEMS
from tests.contract.test_docs_site import wrong

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "ops" / "kubernetes"
OBJECTS: list[dict[str, Any]] = [
    found for path in sorted(FOLDER.glob("*.yaml")) for found in yaml.safe_load_all(path.read_text()) if found
]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
PODS = [found for found in OBJECTS if found["kind"] in ("Deployment", "StatefulSet", "Job")]
COPIES = re.compile(r"replication\.factor|min\.isr|offsets\.topic\.num|log\.num\.partitions")
"""One broker has one copy of everything, and needs fewer partitions of its own; three have more."""
OUTSIDE = {"CONCORD_CAPTURE_PASSWORD"}
"""Connect's, which reads no Settings."""


def named(kind: str, name: str = "concord") -> dict[str, Any]:
    (found,) = [each for each in OBJECTS if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    for found in PODS:
        for container in found["spec"]["template"]["spec"]["containers"]:
            yield found["metadata"]["name"], container


OURS = [(name, container) for name, container in containers() if container["image"].startswith("concord:")]


def test_every_file_is_applied() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert {*listed, "kustomization.yaml"} == {path.name for path in FOLDER.glob("*.yaml")}


def test_versions_are_those_of_the_stack() -> None:
    assert named("Kafka")["spec"]["kafka"]["version"] == pinned().kafka
    connect = named("KafkaConnect", "concord-connect")["spec"]
    assert connect["version"] == pinned().kafka
    assert connect["build"]["output"]["image"].endswith(f":{pinned().kafka}-{pinned().debezium}")
    (plugin,) = connect["build"]["plugins"]
    assert [artifact["version"] for artifact in plugin["artifacts"]] == [pinned().debezium]
    (registry,) = named("Deployment", "registry")["spec"]["template"]["spec"]["containers"]
    assert registry["image"] == COMPOSE["services"]["registry"]["image"]
    assert {container["image"] for _, container in OURS} == {COMPOSE["services"]["worker"]["image"]}


def test_the_broker_is_set_as_the_stacks_but_for_its_copies() -> None:
    config = named("Kafka")["spec"]["kafka"]["config"]
    told = {key: str(value).lower() for key, value in config.items()}
    native = {key: value for key, value in settings.KAFKA.items() if not COPIES.search(key)}
    assert native.items() <= told.items()


def test_every_copy_stands_on_another_broker_and_one_may_be_away() -> None:
    config = named("Kafka")["spec"]["kafka"]["config"]
    brokers = named("KafkaNodePool", "brokers")["spec"]["replicas"]
    copies = {value for key, value in config.items() if "replication.factor" in key}
    assert copies == {brokers} == {3}
    assert config["min.insync.replicas"] == config["transaction.state.log.min.isr"] == brokers - 1


def test_connect_is_told_what_the_stacks_is() -> None:
    lines = CONNECT_CONFIG.read_text().splitlines()
    native = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    found = named("KafkaConnect", "concord-connect")["spec"]
    told = {key: str(value).lower() for key, value in found["config"].items()}
    assert {key: native[key].lower() for key in told if "replication.factor" not in key} == {
        key: value for key, value in told.items() if "replication.factor" not in key
    }
    fields = {
        "group.id": "groupId",
        **{f"{n}.storage.topic": f"{n}StorageTopic" for n in ("config", "offset", "status")},
    }
    assert {key: native[key] for key in fields} == {key: found[name] for key, name in fields.items()}


def test_the_registry_is_set_as_the_stacks() -> None:
    (registry,) = named("Deployment", "registry")["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in registry["env"]}
    assert settings.REGISTRY.items() <= told.items()


def test_what_compose_runs_runs_here() -> None:
    platform = {name for name, found in COMPOSE["services"].items() if found.get("profiles") == ["platform"]}
    here = {found["metadata"]["name"].removeprefix("concord-") for found in PODS}
    assert platform <= here
    assert {name for name in here if name.startswith("adapter-")} == {f"adapter-{name}" for name in ADAPTERS}
    (init,) = [container for name, container in OURS if name == "concord-init"]
    assert init["args"] == COMPOSE["services"]["init"]["command"]


@pytest.mark.parametrize(("name", "container"), OURS, ids=[name for name, _ in OURS])
def test_every_command_is_one_that_the_command_line_knows(name: str, container: dict[str, Any]) -> None:
    told = [container["args"]] if "command" not in container else [
        shlex.split(part)[1:] for part in container["args"][0].split("&&")
    ]  # fmt: skip
    assert [why for words in told if (why := wrong(shlex.join(words)))] == []


def known() -> set[str]:
    """Every variable that somebody reads."""
    systems = [s.upper() for s in SYSTEMS]
    names = {f"CONCORD_{field.upper()}" for field in Settings.model_fields}
    names |= {f"CONCORD_KAFKA_{field.upper()}" for field in KafkaLogin.model_fields}
    names |= {f"CONCORD_{kind}_{s}" for kind in ("DATABASE", "CAPTURE", "ADAPTER", "CANARY") for s in systems}
    names |= {f"CONCORD_ADAPTER_{s}_{field.upper()}" for s in systems for field in Api.model_fields}
    return names | OUTSIDE


def test_every_variable_is_known() -> None:
    told = {*named("ConfigMap")["data"]}
    told |= {each["name"] for _, container in OURS for each in container.get("env", [])}
    told |= set(re.findall(r"\bCONCORD_[A-Z_]*[A-Z]\b", (FOLDER / "connect.yaml").read_text()))
    assert told - known() == set()


def test_each_process_is_told_what_compose_tells_it() -> None:
    for name, container in OURS:
        native = COMPOSE["services"].get(name.removeprefix("concord-"))
        if native is None:
            continue
        mine = {each["name"] for each in container.get("env", [])} | {*named("ConfigMap")["data"]}
        elsewhere = {"CONCORD_DATA_DIR", "CONCORD_POSTGRES"}  # an option of the command; an administrator's
        assert {*native["environment"]} - elsewhere <= mine, name


def test_no_secret_stands_in_a_file() -> None:
    assert not [found for found in OBJECTS if found["kind"] == "Secret"]
    text = "".join(path.read_text() for path in FOLDER.glob("*.yaml"))
    assert "://" not in "".join(re.findall(r"value: (\S+)", text))
    for name, container in containers():
        for each in container.get("env", []):
            secret = re.search(
                r"PASSWORD|SECRET|_KEY$|CONCORD_(ADAPTER|CAPTURE|CANARY|DATABASE)_", each["name"]
            )
            assert not secret or "secretKeyRef" in each.get("valueFrom", {}), (name, each["name"])


def test_no_process_of_ours_is_root_or_may_write_to_its_image() -> None:
    for found in PODS:
        spec = found["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            limits = container["securityContext"]
            assert limits["allowPrivilegeEscalation"] is False
            assert limits["capabilities"] == {"drop": ["ALL"]}
            assert limits.get("runAsNonRoot") or spec["securityContext"]["runAsNonRoot"]
            assert container["resources"]["limits"]["memory"]
            assert not container["image"].startswith("concord:") or limits["readOnlyRootFilesystem"]


def test_nobody_is_reached_but_by_whom_a_policy_names() -> None:
    policies = [found["spec"] for found in OBJECTS if found["kind"] == "NetworkPolicy"]
    (first,) = [
        each for each in policies if each["policyTypes"] == ["Ingress", "Egress"] and "ingress" not in each
    ]
    assert first["podSelector"] == {
        "matchExpressions": [{"key": "strimzi.io/kind", "operator": "DoesNotExist"}]
    }
    open_to = [rule for each in policies for rule in each.get("ingress", [])]
    assert all(rule.get("from") for rule in open_to)


def test_a_worker_is_asked_where_it_listens_and_has_a_volume_of_its_own() -> None:
    workers = named("StatefulSet", "concord-worker")["spec"]
    (worker,) = workers["template"]["spec"]["containers"]
    port = named("ConfigMap")["data"]["CONCORD_WEB_PORT"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert f"http://127.0.0.1:{port}/status" in worker[probe]["exec"]["command"][-1]
    (volume,) = workers["volumeClaimTemplates"]
    mounts = {each["name"]: each["mountPath"] for each in worker["volumeMounts"]}
    assert mounts[volume["metadata"]["name"]] == worker["args"][worker["args"].index("--data-dir") + 1]


def test_workers_are_no_more_than_there_are_partitions() -> None:
    workers = named("StatefulSet", "concord-worker")["spec"]["replicas"]
    assert workers <= int(named("ConfigMap")["data"]["CONCORD_PARTITIONS"])
