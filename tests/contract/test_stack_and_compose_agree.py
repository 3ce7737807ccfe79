"""docker-compose.yml and the native stack are the same stack: versions, services, settings, loopback, no secrets."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stack import checksums, settings, state
from stack.connect import CONFIG as CONNECT_CONFIG
from stack.lifecycle import SERVICES
from stack.versions import pinned
from streams.systems import ADAPTERS, SYSTEMS

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
CONNECT_IMAGE = (PROJECT / "stack" / "connect.Dockerfile").read_text()
PLATFORM = {"guard", "reference", "init", "worker", *(f"adapter-{system}" for system in ADAPTERS)}


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def test_both_have_the_same_services() -> None:
    core = {name for name, found in COMPOSE["services"].items() if "profiles" not in found}
    assert core - {"databases"} == {native.name for native in SERVICES}


def test_the_platform_profile_holds_the_init_job_and_what_concord_up_starts() -> None:
    assert {
        name for name, found in COMPOSE["services"].items() if found.get("profiles") == ["platform"]
    } == PLATFORM


@pytest.mark.parametrize("system", ADAPTERS)
def test_every_system_with_an_adapter_has_one_that_reaches_its_database_and_no_other(system: str) -> None:
    found = service(f"adapter-{system}")
    assert found["command"] == ["adapter", system]
    dsns = {
        name: value for name, value in found["environment"].items() if name.startswith("CONCORD_ADAPTER_")
    }
    assert dsns == {
        f"CONCORD_ADAPTER_{system.upper()}": f"postgresql://concord_adapter_{system}:"
        f"${{CONCORD_ADAPTER_{system.upper()}_PASSWORD:?}}@postgres:5432/{system}"
    }


def test_the_init_job_makes_and_captures_every_system_of_the_registry() -> None:
    environ = service("init")["environment"]
    for kind in ("DATABASE", "CAPTURE"):
        named = {name for name in environ if name.startswith(f"CONCORD_{kind}_") and "://" in environ[name]}
        assert named == {f"CONCORD_{kind}_{system.upper()}" for system in SYSTEMS}
        assert all(environ[name].endswith(f"/{name.rpartition('_')[2].lower()}") for name in named)


def test_images_carry_the_versions_of_the_pom() -> None:
    assert service("postgres")["image"] == f"postgres:{pinned().postgres_release}"
    assert service("kafka")["image"] == f"apache/kafka:{pinned().kafka}"
    assert service("registry")["image"].endswith(f"/apicurio-registry:{pinned().registry}")
    assert service("connect")["image"] == f"concord-connect:{pinned().kafka}-{pinned().debezium}"


def test_the_connect_image_is_built_from_the_versions_of_the_pom() -> None:
    wanted = {"KAFKA_VERSION": pinned().kafka, "DEBEZIUM_VERSION": pinned().debezium}
    assert service("connect")["build"]["args"] == wanted
    assert dict(re.findall(r"^ARG (\w+_VERSION)=(\S+)$", CONNECT_IMAGE, re.MULTILINE)) == wanted


def test_the_connect_image_checks_the_plugin_with_the_pinned_checksum() -> None:
    plugin = f"debezium-connector-postgres-{pinned().debezium}-plugin.tar.gz"
    assert f"ARG DEBEZIUM_SHA256={checksums.pinned()[plugin]}\n" in CONNECT_IMAGE
    assert "sha256sum -c -" in CONNECT_IMAGE


def test_the_connect_image_uses_the_settings_file_of_the_native_start() -> None:
    assert f"COPY {CONNECT_CONFIG.name} " in CONNECT_IMAGE
    used = set(re.findall(r"\$\{env:(\w+)\}", CONNECT_CONFIG.read_text().split("bootstrap.servers", 1)[1]))
    assert used <= set(service("connect")["environment"])


def test_postgres_has_the_same_settings() -> None:
    words = service("postgres")["command"]
    assert words[0] == "postgres"
    assert dict(word.split("=", 1) for word in words[2::2]) == settings.POSTGRES
    assert (
        tuple(service("postgres")["environment"]["POSTGRES_INITDB_ARGS"].split()) == settings.POSTGRES_INITDB
    )


def test_kafka_has_the_same_settings() -> None:
    environ = service("kafka")["environment"]
    native = {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in settings.KAFKA.items()}
    assert {key: environ.get(key) for key in native} == native


def test_the_registry_has_the_same_settings() -> None:
    environ = service("registry")["environment"]
    assert {key: environ.get(key) for key in settings.REGISTRY} == settings.REGISTRY


@pytest.mark.parametrize(
    ("name", "variable"),
    [("kafka", "KAFKA_HEAP_OPTS"), ("connect", "KAFKA_HEAP_OPTS"), ("registry", "JAVA_OPTS_APPEND")],
)
def test_heaps_are_equal(name: str, variable: str) -> None:
    heap = settings.HEAP_MB[name]
    assert service(name)["environment"][variable] == f"-Xms{heap // 2}m -Xmx{heap}m"


def test_every_published_port_is_on_loopback() -> None:
    published = [port for found in COMPOSE["services"].values() for port in found.get("ports", [])]
    assert len(published) == len(SERVICES)
    assert all(port.startswith("127.0.0.1:${CONCORD_PORT_") for port in published)


def test_what_watches_listens_on_loopback_and_reads_what_is_in_ops() -> None:
    watching = {
        name: found for name, found in COMPOSE["services"].items() if found.get("profiles") == ["obs"]
    }
    assert set(watching) == {"prometheus", "grafana"}
    assert all(re.fullmatch(r".+:v?\d+\.\d+\.\d+", found["image"]) for found in watching.values())
    listens = [word for word in watching["prometheus"]["command"] if word.startswith("--web.listen-address")]
    assert listens == ["--web.listen-address=127.0.0.1:${CONCORD_PORT_PROMETHEUS:-19090}"]
    assert watching["grafana"]["environment"]["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    mounted = [volume.split(":") for found in watching.values() for volume in found["volumes"]]
    ours = [source for source, *_ in mounted if source.startswith("./")]
    assert all((PROJECT / source).exists() for source in ours)
    assert all(mode == ["ro"] for source, _, *mode in mounted if source in ours)


def test_every_service_of_the_core_has_a_health_check_and_outlives_a_restart() -> None:
    for native in SERVICES:
        assert "healthcheck" in service(native.name), native.name
        assert service(native.name)["restart"] == "unless-stopped", native.name


def test_every_password_comes_from_a_variable_that_must_be_set_and_that_secrets_draws() -> None:
    text = (PROJECT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"\$\{(\w+_PASSWORD)(?=:\?)", text))
    assert asked == {state.password_variable(role) for role in state.ROLES}
    assert asked == set(re.findall(r"\$\{(\w+_PASSWORD)", text)), (
        "a password without :? would silently be empty"
    )
    assert not re.findall(r"PASSWORD: (?!\$\{)\S|://\w+:(?!\$\{)\S+@", text), (
        "a password is written into the file"
    )


def test_the_platform_image_takes_only_hashed_dependencies_and_is_not_root() -> None:
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    assert any("--require-hashes -r requirements.lock" in line for line in lines)
    assert [line for line in lines if line.startswith("USER")] == ["USER concord"]
    assert next(line for line in lines if line.startswith("FROM")) == f"FROM python:{_python()}-slim"


def _python() -> str:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return str(project["requires-python"]).removeprefix(">=")
