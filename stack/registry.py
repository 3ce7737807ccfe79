"""Apicurio Registry: the schemas of the sink topics, through its Confluent API, kept in PostgreSQL."""

from __future__ import annotations

from stack import jvm
from stack.process import Command
from stack.service import HOST, Service, Site, http_status
from stack.settings import REGISTRY, REGISTRY_DATABASE, REGISTRY_ROLE
from stack.state import State
from stack.versions import pinned

API = "/apis/ccompat/v7"


class Registry(Service):
    name = "registry"
    version = pinned().registry
    needs = ("postgres",)
    needs_ports = ("registry", "registry_management")

    def command(self, site: Site) -> Command:
        ports = site.state.ports
        environ = {
            "QUARKUS_HTTP_HOST": HOST,
            "QUARKUS_HTTP_PORT": str(ports["registry"]),
            # Left alone, the management interface listens on port 9000 of every address.
            "QUARKUS_MANAGEMENT_HOST": HOST,
            "QUARKUS_MANAGEMENT_PORT": str(ports["registry_management"]),
            **REGISTRY,
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{HOST}:{ports['postgres']}/{REGISTRY_DATABASE}",
            "APICURIO_DATASOURCE_USERNAME": REGISTRY_ROLE,
            "APICURIO_DATASOURCE_PASSWORD": site.state.passwords[REGISTRY_ROLE],
        }
        argv = jvm.argv(site.java, self.name, jvm.SMALL)
        return Command(
            [*argv, "-jar", str(site.artifacts.registry / "quarkus-run.jar")], jvm.environ(environ)
        )

    def ready(self, state: State) -> bool:
        return http_status(state.ports["registry"], f"{API}/subjects") == 200
