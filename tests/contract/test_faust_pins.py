"""What the chunk transport relies on in faust-streaming, aiokafka and mode beyond their documented interfaces.

A failure here after an upgrade says what to read again in `streams/engine/transport.py` and `fetch.py`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import aiokafka
import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import TopicPartitionState
from faust.agents import Agent
from faust.agents.actor import Actor
from faust.agents.manager import AgentManager
from faust.app.base import App
from faust.assignor.partition_assignor import PartitionAssignor
from faust.streams import Stream
from faust.tables.recovery import Recovery
from faust.transport import consumer as stock
from faust.transport.conductor import Conductor
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.threads import MethodQueue

from streams.engine import fetch, transport
from streams.engine.intake import Chunk
from streams.errors import InvalidInput
from tests.fixtures.faust_apps import make_app, make_worker

NOWHERE = "127.0.0.1:1"


def source(thing: Any) -> str:
    return inspect.getsource(thing)


def in_order(text: str, *parts: str) -> bool:
    for part in parts:
        _, found, text = text.partition(part)
        if not found:
            return False
    return True


def called_in(function: Callable[..., Any]) -> set[str]:
    """The names of what a function calls, last part only."""
    tree = ast.parse(textwrap.dedent(source(function)))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}


@pytest.mark.parametrize(
    ("package", "pinned"),
    [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0"), ("mode-streaming", "0.7.1")],
)
def test_the_versions_are_the_ones_that_were_read(package: str, pinned: str) -> None:
    assert version(package) == pinned


def with_app(look: Callable[[faust.App], Any], **conf: Any) -> Any:
    """What `look` says about an app that is made and never started."""

    async def scenario() -> Any:
        app = make_worker(NOWHERE, "pins", ["a"], **conf).app
        try:
            return look(app)
        finally:
            app.consumer._thread.thread_loop.close()

    return asyncio.run(scenario())


# ---- what we override must still be what Faust calls ----


@pytest.mark.parametrize(
    "name",
    [
        "getmany",
        "ack",
        "on_buffer_full",
        "on_buffer_drop",
        "_new_offset",
        "_filter_tps_with_pending_acks",
        "_add_gap",
        "wait_empty",
        "perform_seek",
        "on_partitions_revoked",
        "on_partitions_assigned",
        "verify_event_path",
        "_new_consumer_thread",
        "on_stop",
    ],
)
def test_an_overridden_method_has_the_signature_faust_calls(name: str) -> None:
    ours, theirs = getattr(transport.Consumer, name), getattr(driver.Consumer, name)
    assert ours is not theirs
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("name", ["_create_worker_consumer", "on_thread_stop", "verify_event_path"])
def test_an_overridden_method_of_the_thread_has_the_signature_faust_calls(name: str) -> None:
    ours, theirs = getattr(fetch.ConsumerThread, name), getattr(driver.AIOKafkaConsumerThread, name)
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


def test_the_consumer_has_the_private_members_we_use() -> None:
    assert with_app(lambda app: set(dir(app.consumer))) >= {
        "_active_partitions",
        "_paused_partitions",
        "_unacked_messages",
        "_read_offset",
        "_committed_offset",
        "_get_active_partitions",
        "_on_partitions_revoked",
        "maybe_wait_for_commit_to_finish",
        "commit_and_end_transactions",
        "flow_active",
        "can_resume_flow",
        "stop_flow",
    }


def test_commits_go_through_the_two_methods_we_answer() -> None:
    assert "_filter_tps_with_pending_acks" in called_in(stock.Consumer.force_commit)
    assert {"_new_offset", "_should_commit"} <= called_in(stock.Consumer._filter_committable_offsets)


def test_a_commit_below_the_known_one_is_dropped_unless_that_is_forgotten() -> None:
    """Why a gap resets `_committed_offset`."""
    known = SimpleNamespace(_committed_offset={"tp": 10})
    assert not stock.Consumer._should_commit(known, "tp", 5)
    known._committed_offset["tp"] = None
    assert stock.Consumer._should_commit(known, "tp", 5)


def test_the_drain_loop_drops_below_the_read_offset_only() -> None:
    """Why `getmany` sets the read offset to None before each chunk."""
    drain = source(stock.Consumer._drain_messages)
    assert "if r_offset is None or offset >= r_offset:" in drain
    assert "callback(message), self.suspend_flow.wait()" in drain


# ---- what acknowledges, and what must not ----


def test_faust_acknowledges_a_skipped_event_before_it_is_tracked() -> None:
    """Why `Consumer.ack` looks at `message.tracked`."""
    text = source(Stream._py_aiter)
    assert in_order(
        text,
        "value = skipped_value",
        "message.tracked = True",
        "if event is not None and (do_ack or value is skipped_value):",
    )
    assert ConsumerMessage.use_tracking


def message(chunk: Chunk) -> ConsumerMessage:
    made: ConsumerMessage = transport._message(chunk, 1)
    made.incref()
    return made


def a_chunk() -> Chunk:
    record = aiokafka.ConsumerRecord("a", 0, 4, 1000, 0, None, b"v", None, -1, 1, ())
    return Chunk(TP("a", 0), [record], 5)


def test_only_an_event_the_agent_got_moves_the_offset() -> None:
    def committable(app: faust.App, tracked: bool) -> int | None:
        consumer, tp = app.consumer, TP("a", 0)
        consumer._intake.accept(tp, a_chunk().records, 5, 5)
        (chunk,) = consumer._intake.due({tp})
        event = message(chunk)
        event.tracked = tracked
        event.ack(consumer)
        found: int | None = consumer._intake.committable(tp)
        return found

    assert with_app(lambda app: committable(app, tracked=False)) is None
    assert with_app(lambda app: committable(app, tracked=True)) == 5


def test_a_chunk_passes_faust_undecoded_as_the_value_of_the_event() -> None:
    async def scenario() -> Any:
        app = make_app(NOWHERE, "pins")
        topic, chunk = app.topic("a"), a_chunk()
        event = await topic.decode(message(chunk), propagate=True)
        return event.value is chunk, event.key

    assert asyncio.run(scenario()) == (True, None)


# ---- the consumer we create ----


def created() -> Any:
    """The aiokafka consumer of an app, not started."""

    def create(app: faust.App) -> Any:
        consumer = app.consumer._thread._create_worker_consumer(app.transport)
        consumer._closed = True  # else it complains that it was never stopped
        return consumer

    return with_app(create)


def test_only_committed_records_are_read() -> None:
    assert created()._isolation_level == "read_committed"
    assert 'isolation_level: str = "read_uncommitted"' in source(
        driver.AIOKafkaConsumerThread._create_worker_consumer
    )


def test_aiokafka_never_resets_an_offset_by_itself() -> None:
    assert created()._auto_offset_reset == "none"


def test_an_empty_fetch_is_held_back_a_tenth_of_a_second_and_any_record_ends_it() -> None:
    consumer = created()
    assert (consumer._fetch_max_wait_ms, consumer._fetch_min_bytes) == (100, 1)


def test_the_assignor_keeps_partition_numbers_together() -> None:
    """Faust itself falls back to aiokafka's round-robin when an app has no tables and no standbys."""
    (assignor,) = created()._partition_assignment_strategy
    assert isinstance(assignor, PartitionAssignor)
    assert "else RoundRobinPartitionAssignor" in source(driver.AIOKafkaConsumerThread._create_worker_consumer)


def test_offsets_are_committed_by_us_alone() -> None:
    assert created()._enable_auto_commit is False


def test_every_setting_of_faust_that_reaches_its_consumer_reaches_ours() -> None:
    def settings(function: Any) -> set[str]:
        tree = ast.parse(textwrap.dedent(source(function)))
        return {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("conf", "self.app.conf")
        }

    ours = settings(fetch.ConsumerThread._create_worker_consumer)
    theirs = settings(driver.AIOKafkaConsumerThread._create_worker_consumer)
    replaced = {
        "consumer_api_version",  # a no-op since aiokafka 0.13
        "consumer_auto_offset_reset",
        "broker_max_poll_records",
        "consumer_max_fetch_size",  # fetch.FETCH_BYTES: its default is fetched twice
        "table_standby_replicas",
    }
    assert ours == theirs - replaced


# ---- aiokafka: fetching, pausing, gaps ----


def test_an_offset_out_of_range_is_raised_with_its_partition() -> None:
    text = source(Fetcher._proc_fetch_request)
    assert "Errors.OffsetOutOfRangeError({tp: fetch_offset})" in text
    assert "self._default_reset_strategy != OffsetResetStrategy.NONE" in text


def test_a_buffered_partition_holds_back_its_node() -> None:
    """Why what must not come now is paused, and everything fetched is taken at once."""
    text = source(Fetcher._get_actions_per_node)
    assert in_order(text, "if tp in self._records:", "elif node_id in self._in_flight:", "tp_state.paused")
    assert "if node_id in backoff_by_nodes:" in text


def test_records_of_a_paused_partition_are_dropped_and_its_position_stays() -> None:
    assert "if tp_state.paused:" in source(FetchResult.check_assignment)
    assert "_update_position" not in source(FetchResult.check_assignment)


def test_the_position_moves_past_transaction_markers() -> None:
    assert in_order(
        source(PartitionRecords._unpack_records),
        "if next_batch.is_control_batch:",
        "self.next_fetch_offset = next_batch.next_offset",
    )
    assert "self._update_position()" in source(FetchResult.getall)


def test_a_partition_state_has_what_a_read_reports() -> None:
    async def scenario() -> set[str]:
        return set(dir(TopicPartitionState(None)))

    assert asyncio.run(scenario()) >= {"position", "lso", "has_valid_position", "paused"}


def test_heartbeats_stop_while_an_assignment_is_told() -> None:
    """Why `Gate.assigned` must return at once."""
    text = source(GroupCoordinator.ensure_active_group)
    assert in_order(
        text, "_on_join_prepare", "_stop_heartbeat_task", "_do_rejoin_group", "_start_heartbeat_task"
    )


# ---- Faust: the order of a rebalance and of a stop ----


def test_records_flow_only_after_the_seek() -> None:
    text = source(Recovery._resume_streams)
    assert in_order(text, "consumer.perform_seek()", "app.flow_control.resume()", "consumer.resume_flow()")


def test_actors_are_started_and_stopped_before_records_flow() -> None:
    assert in_order(
        source(App._on_partitions_assigned),
        "self.agents.on_rebalance",
        "self.topics.on_partitions_assigned",
        "self.tables.on_rebalance",
    )
    assert in_order(source(AgentManager.on_rebalance), "on_partitions_revoked", "on_partitions_assigned")


def test_an_actor_serves_one_partition_and_is_cancelled_when_it_moves() -> None:
    assert "_start_isolated" in called_in(Agent._maybe_start_isolated)
    assert {"cancel", "stop"} <= called_in(Actor.on_isolated_partition_revoked)


def test_a_stop_waits_before_agents_and_again_after_them() -> None:
    """Why the deadline of a stop is kept between two calls of `wait_empty`."""
    assert "_consumer_wait_empty" in called_in(App._stop_consumer)
    assert "wait_empty" in called_in(stock.Consumer.on_stop)


def test_a_rebalance_during_a_stop_would_close_the_client() -> None:
    """Why our rebalance callbacks don't reach the app once it stops."""
    for callback in (App._on_partitions_revoked, App._on_partitions_assigned):
        assert "return self._on_rebalance_when_stopped()" in source(callback)
    assert "close" in called_in(App._on_rebalance_when_stopped)


def test_the_method_queue_has_two_workers() -> None:
    """Why reads go around it: a commit must find one free."""
    assert "num_workers: int = 2" in source(MethodQueue.__init__)


def test_the_conductor_puts_without_waiting_while_its_queue_has_room() -> None:
    assert "queue.put_nowait_enhanced(" in source(inspect.getmodule(Conductor))


# ---- our own interface ----


def test_the_scheme_leads_to_our_transport() -> None:
    transport.register()
    assert TRANSPORTS.by_url("cdc://host:9092") is transport.Transport


def test_a_queue_too_small_for_the_chunks_that_may_be_out_is_refused() -> None:
    async def scenario() -> None:
        app = make_app(NOWHERE, "pins")
        app.conf.stream_buffer_maxsize = 2
        app.consumer  # noqa: B018

    with pytest.raises(InvalidInput, match="a buffer of 2 is too small"):
        asyncio.run(scenario())


def test_settings_of_an_app_on_another_transport_are_refused() -> None:
    async def scenario() -> None:
        transport.configure(faust.App("other", broker=f"kafka://{NOWHERE}"))

    with pytest.raises(InvalidInput, match="cdc://"):
        asyncio.run(scenario())
