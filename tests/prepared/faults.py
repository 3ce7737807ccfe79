"""The faults as a table: how each is made, who is to ring, where it is shown, and how its page mends it.

Fault.inject --> goes_on, while it is looked at --> repair, by what stands on docs/runbooks/<page>.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.prepared import around, flow, workers
from tests.prepared.scene import Scene
from tests.runbooks import Runbook

Step = Callable[[Scene, Runbook], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """alert, labels: what rings, and nothing else; without labels, for whichever systems. shown: in `concord status`.
    doctor: its checks that are to be wrong or unknown. goes_on: what it does while it is looked at."""

    name: str
    inject: Callable[[Scene], None]
    alert: str
    shown: str
    repair: Step
    labels: dict[str, str] | None = None
    doctor: tuple[str, ...] = ()
    doctor_environ: Callable[[Scene], dict[str, str]] = lambda scene: {}
    goes_on: Callable[[Scene], None] = lambda scene: None


FAULTS = (
    Fault(
        "adapter stopped", flow.stop_adapter, "HopStopped", "adapter directory *stopped", flow.start_what_stopped,
        {"hop": "directory", "severity": "critical"},
    ),
    Fault(
        "slow target", flow.slow_the_target, "HopLate", r"adapter directory +lagging +\d+ records +\d{2,}[.]\d s",
        flow.switch_the_trigger_off, {"hop": "directory", "severity": "warning"},
    ),
    Fault("poison records", flow.poison, "QuarantineWaits", "1 wait to be replayed or discarded", flow.discard, {"severity": "warning"}),
    Fault("slot growing", flow.hold_the_slot, "SlotFilling", r"[\d,]{9,} B kept", flow.end_the_oldest, goes_on=flow.write_much),
    Fault(
        "connector dead", flow.delete_connector, "CaptureNeedsALook", r"guard .*directory connector[.]missing", flow.apply_source,
        {"system": "directory", "severity": "critical"}, ("connector",),
    ),
    Fault(
        "registry down", around.cut_registry, "RegistryUnanswered", "registry  does not answer", around.start_registry,
        {"severity": "warning"}, ("registry",),
    ),
    Fault(
        "rebalance loop", workers.freeze_the_worker, "PartitionsMoving",
        r"workers +1 answer \(.+\), given a partition \d{2,} times", workers.let_another_take_over,
        {"severity": "warning"}, goes_on=workers.freeze_for_a_while,
    ),
    Fault(
        "stale witness file", around.load_old_file, "WitnessStale", "reference leie is stale", around.load_newest,
        {"source": "leie", "state": "stale", "severity": "warning"},
    ),
    Fault(
        "clock skew", around.set_clock_wrong, "ClockSkewed", r"clocks .*directory -\d", around.set_clock_right,
        {"severity": "warning"}, ("clock",), around.skewed,
    ),
    Fault(
        "disk nearly full", workers.fill_the_disk, "DiskNearlyFull", r"disk +\d[.]\d% is free under the store of worker/",
        workers.free_the_disk, None, ("disk",), workers.on_its_machine,
    ),
)  # fmt: skip
