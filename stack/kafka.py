"""The Kafka of the stack: one node, broker and KRaft controller at once, on loopback."""

from __future__ import annotations

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stack import jvm
from stack.process import Command
from stack.service import HOST, Service, Site
from stack.settings import KAFKA
from stack.state import State
from stack.versions import pinned
from streams.errors import EnvironmentFault


class Kafka(Service):
    name = "kafka"
    version = pinned().kafka
    needs_ports = ("kafka", "kafka_controller")

    def prepare(self, site: Site) -> None:
        data = site.layout.data(self.name)
        data.mkdir(exist_ok=True)
        own = broker_settings(site.state.ports, data / "log")
        settings = {**own, **site.overrides.get(self.name, {})}
        _config_file(site).write_text(render(settings))
        if not (data / "log" / "meta.properties").exists():
            self._format(site)

    def command(self, site: Site) -> Command:
        argv = jvm.argv(site.java, self.name, jvm.G1) + jvm.class_path(site.artifacts.kafka)
        return Command([*argv, "kafka.Kafka", str(_config_file(site))], jvm.environ({}))

    def ready(self, state: State) -> bool:
        return answers(f"{HOST}:{state.ports['kafka']}")

    def _format(self, site: Site) -> None:
        argv = [str(site.java), *jvm.SMALL, *jvm.QUIET, *jvm.class_path(site.artifacts.kafka)]
        argv += format_command(_cluster_id(), _config_file(site))
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=jvm.environ({}))
        if done.returncode != 0:
            raise EnvironmentFault(
                "stack.kafka_format", (done.stdout + done.stderr)[-2000:], "see the reason above"
            )


def broker_settings(ports: Mapping[str, int], logs: Path) -> dict[str, str]:
    return {
        **KAFKA,
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"{HOST}:{ports['kafka_controller']}",
        "listeners": f"PLAINTEXT://{HOST}:{ports['kafka']},CONTROLLER://{HOST}:{ports['kafka_controller']}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports['kafka']}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(logs),
    }


def format_command(cluster_id: str, config: Path) -> list[str]:
    # With "=": an id may begin with a dash, which alone would be read as an option.
    words = ["kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"]
    return [*words, f"--cluster-id={cluster_id}", f"--config={config}"]


def render(settings: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def answers(bootstrap: str) -> bool:
    """A broker answers there and knows itself as a member of the cluster."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
    try:
        return bool(client.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _config_file(site: Site) -> Path:
    return site.layout.data("kafka") / "server.properties"


def _cluster_id() -> str:
    return urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
