"""What a connector is told: derived from the mapping, exactly, and nothing that an operator may contradict."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from connectors.source import APPLIED, EPOCH, Connection, Names, captured, render
from connectors.sources import Source
from schemas.catalog import load_mapping, load_mappings
from streams.errors import InvalidInput
from streams.systems import SYSTEMS

GOLDEN = Path(__file__).parent / "golden" / "credentialing-source.json"
CONNECTION = Connection("db.example.org", 5432, "concord_capture", "credentialing")


def rendered(system: str, prefix: str = "", epoch: int = 1) -> dict[str, str]:
    names = Names(system, prefix)
    return render({}, load_mapping(system), names, epoch=epoch, connection=CONNECTION, identity="1/1")


def routed(config: dict[str, str], topic: str) -> str:
    """RegexRouter as Kafka 4.3.1 has it: the whole must match, then the first *find* is replaced."""
    pattern = config["transforms.route.regex"]
    if not re.fullmatch(pattern, topic):
        return topic
    return re.sub(pattern, config["transforms.route.replacement"], topic, count=1)


def test_the_credentialing_connector_is_the_recorded_one() -> None:
    """Written by hand never: when a change is meant, write `rendered("credentialing")` there and read the diff."""
    assert rendered("credentialing") == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_captured_table_goes_to_the_one_topic(system: str) -> None:
    config = rendered(system, prefix="t1.")
    for table in captured(load_mapping(system)):
        assert routed(config, f"t1.{system}.{table.qualified}") == f"t1.cdc.{system}"


@pytest.mark.parametrize("system", SYSTEMS)
def test_heartbeats_transactions_and_notifications_keep_their_topics(system: str) -> None:
    config = rendered(system)
    for topic in (f"__debezium-heartbeat.{system}", f"{system}.transaction", f"{system}.notification"):
        assert routed(config, topic) == topic
        assert not re.fullmatch(config["predicates.data.pattern"], topic)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_captured_table_is_keyed_by_exactly_one_column(system: str) -> None:
    config = rendered(system)
    for table in captured(load_mapping(system)):
        topic = f"{system}.{table.qualified}"
        steps = [name for name in config["transforms"].split(",") if name.startswith("key_")]
        hits = [
            config[f"transforms.{step}.field"]
            for step in steps
            if re.fullmatch(config[f"predicates.by_{step.removeprefix('key_')}.pattern"], topic)
        ]
        assert hits == [table.entity]


def test_only_mapped_columns_leave_the_source() -> None:
    columns = rendered("credentialing")["column.include.list"].split(",")
    assert "public.provider.npi" in columns
    assert "public.provider.ssn" not in columns
    assert {"public.concord_signal.id", "public.concord_signal.type", "public.concord_signal.data"} <= set(
        columns
    )


def test_message_keys_are_unique_and_start_with_the_entity() -> None:
    keys = dict(entry.split(":") for entry in rendered("credentialing")["message.key.columns"].split(";"))
    assert keys["public.license"] == "provider_id,license_id"
    assert keys["public.provider"] == "provider_id"
    assert keys[APPLIED.qualified] == "local_id,kind,entity_id"


def test_signals_and_heartbeats_are_no_data() -> None:
    config = rendered("credentialing")
    assert not re.fullmatch(config["predicates.data.pattern"], "credentialing.public.concord_signal")
    assert re.fullmatch(config["predicates.signal.pattern"], "credentialing.public.concord_signal")
    assert "concord_heartbeat" not in config["table.include.list"]


def test_the_epoch_stands_in_a_header_of_every_data_record() -> None:
    assert rendered("billing", epoch=7)[EPOCH] == "7"


def test_no_password_is_in_the_configuration() -> None:
    source = Source(Names("billing"), "postgresql://concord_capture:hidden@127.0.0.1:5432/billing")
    config = render({}, load_mapping("billing"), source.names, epoch=1, connection=source.connection)
    assert "hidden" not in json.dumps(config)
    assert "hidden" not in repr(source)
    assert config["database.password"] == "${env:CONCORD_CAPTURE_PASSWORD}"


def test_connect_may_reach_the_database_elsewhere() -> None:
    source = Source(Names("billing"), "postgresql://c:p@127.0.0.1:5/billing", address="postgres:5432")
    assert source.connection == Connection("postgres", 5432, "c", "billing")


def test_source_json_may_tune_but_not_contradict_what_is_derived() -> None:
    with pytest.raises(InvalidInput, match=re.escape("snapshot.mode")):
        render(
            {"snapshot.mode": "when_needed"},
            load_mapping("billing"),
            Names("billing"),
            epoch=1,
            connection=CONNECTION,
        )


def test_slot_names_are_what_postgresql_allows() -> None:
    assert Names("credentialing").slot_name == "concord_credentialing"
    assert Names("credentialing", "T-1.").slot_name == "concord_t_1_credentialing"


def test_every_system_has_a_mapping() -> None:
    assert set(load_mappings()) == set(SYSTEMS)
