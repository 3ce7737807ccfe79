"""Which ports a stack takes: configured before remembered before free, each once, out of the clients' range."""

from __future__ import annotations

import pytest

from stack import ports
from streams.errors import EnvironmentFault, InvalidInput

REMEMBERED = {name: 20_000 + index for index, name in enumerate(ports.NAMES)}


def every_port_is_free(port: int) -> bool:
    return True


def no_port_is_free(port: int) -> bool:
    return False


def test_remembered_ports_stay_even_when_something_uses_them() -> None:
    assert ports.choose(REMEMBERED, {}, no_port_is_free) == REMEMBERED


def test_a_configured_port_wins_over_a_remembered_one() -> None:
    chosen = ports.choose(REMEMBERED, {"CONCORD_PORT_KAFKA": "9092"}, every_port_is_free)
    assert chosen == {**REMEMBERED, "kafka": 9092}


def test_free_ports_are_distinct_and_below_those_given_to_outgoing_connections() -> None:
    chosen = ports.choose({}, {}, every_port_is_free)
    assert len(set(chosen.values())) == len(ports.NAMES)
    assert all(ports.LOWEST <= port < 60_000 for port in chosen.values())


def test_a_free_port_is_never_one_that_is_configured_for_another_service() -> None:
    asked: list[int] = []

    def free(port: int) -> bool:
        asked.append(port)
        return len(asked) > 200

    fixed = {
        f"CONCORD_PORT_{name.upper()}": str(REMEMBERED[name]) for name in ("postgres", "kafka", "connect")
    }
    ports.choose({}, fixed, free)
    assert not {int(port) for port in fixed.values()} & set(asked)


@pytest.mark.parametrize("value", ["0", "65536", "-1", "kafka", "9092.0"])
def test_a_configured_port_that_is_none_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidInput, match="CONCORD_PORT_KAFKA") as refused:
        ports.choose({}, {"CONCORD_PORT_KAFKA": value}, every_port_is_free)
    assert refused.value.exit_code == 2


def test_no_free_port_at_all_is_said() -> None:
    with pytest.raises(EnvironmentFault, match="no free port"):
        ports.choose({}, {}, no_port_is_free)
