"""What the services are told: rendered settings, pinned files, passwords."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stack import checksums, kafka, settings, state
from streams.errors import EnvironmentFault

PORTS = {"kafka": 9092, "kafka_controller": 9093}


def test_the_broker_listens_on_loopback_only() -> None:
    told = kafka.broker_settings(PORTS, Path("/srv/logs"))
    listeners = told["listeners"].split(",")
    assert listeners == ["PLAINTEXT://127.0.0.1:9092", "CONTROLLER://127.0.0.1:9093"]
    assert told["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"


def test_settings_render_as_one_line_each() -> None:
    assert kafka.render({"a.b": "1", "c": "x=y"}) == "a.b=1\nc=x=y\n"


def test_a_cluster_id_that_begins_with_a_dash_is_no_option() -> None:
    assert "--cluster-id=-dash" in kafka.format_command("-dash", Path("server.properties"))


def test_a_record_of_the_largest_size_passes_the_broker() -> None:
    assert int(settings.KAFKA["message.max.bytes"]) > settings.LARGEST_RECORD
    assert settings.KAFKA["replica.fetch.max.bytes"] == settings.KAFKA["message.max.bytes"]


def test_every_role_draws_a_password_of_its_own() -> None:
    drawn = state.draw_passwords()
    assert set(drawn) == {
        "postgres",
        settings.REGISTRY_ROLE,
        settings.CAPTURE_ROLE,
        settings.CANARY_ROLE,
        settings.STEWARD_ROLE,
        settings.AUDIT_ROLE,
        *settings.ADAPTER_ROLES.values(),
    }
    assert len(set(drawn.values())) == len(drawn)
    assert all(len(password) >= 32 for password in drawn.values())


def test_no_password_shows_when_a_state_is_printed() -> None:
    assert "hidden" not in repr(state.State({"kafka": 1}, {"postgres": "hidden"}))


def test_a_file_that_is_not_pinned_or_differs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kafka.jar"
    file.write_bytes(b"bytes")
    right = hashlib.sha256(b"bytes").hexdigest()
    checksums.verify([file], {"kafka.jar": right})
    for pins in ({}, {"kafka.jar": "0" * 64}):
        with pytest.raises(EnvironmentFault, match=r"kafka\.jar"):
            checksums.verify([file], pins)


def test_pins_survive_being_written_and_keep_those_of_other_platforms(tmp_path: Path) -> None:
    pins, jar = tmp_path / "pins", tmp_path / "kafka.jar"
    pins.write_text(f"{'1' * 64}  darwin.jar\n")
    jar.write_bytes(b"bytes")
    checksums.write([jar], pins)
    assert checksums.pinned(pins) == {
        "darwin.jar": "1" * 64,
        "kafka.jar": hashlib.sha256(b"bytes").hexdigest(),
    }
