"""Kafka Connect with Debezium's PostgreSQL connector, one distributed worker on loopback.

connect.properties is the same file the container uses; connectors are created by `concord sources apply`.
"""

from __future__ import annotations

from pathlib import Path

from stack import jvm
from stack.process import Command
from stack.service import HOST, Service, Site, http_status
from stack.settings import CAPTURE_ROLE
from stack.state import State
from stack.versions import pinned

CONFIG = Path(__file__).with_name("connect.properties")
MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"


class Connect(Service):
    name = "connect"
    version = f"{pinned().kafka} (Debezium {pinned().debezium})"
    needs = ("kafka",)
    needs_ports = ("connect",)

    def prepare(self, site: Site) -> None:
        site.layout.data(self.name).mkdir(exist_ok=True)
        _config_file(site).write_text(f"{CONFIG.read_text()}\nplugin.path={site.artifacts.plugins}\n")

    def command(self, site: Site) -> Command:
        environ = {
            "CONCORD_KAFKA": f"{HOST}:{site.state.ports['kafka']}",
            "CONCORD_CONNECT_LISTENER": f"http://{HOST}:{site.state.ports['connect']}",
            "CONCORD_CONNECT_HOST": HOST,
            "CONCORD_CAPTURE_PASSWORD": site.state.passwords[CAPTURE_ROLE],
        }
        argv = jvm.argv(site.java, self.name, jvm.G1) + jvm.class_path(site.artifacts.kafka)
        return Command([*argv, MAIN, str(_config_file(site))], jvm.environ(environ))

    def ready(self, state: State) -> bool:
        return http_status(state.ports["connect"], "/connectors") == 200


def _config_file(site: Site) -> Path:
    return site.layout.data("connect") / "connect.properties"
