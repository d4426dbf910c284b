"""A Flower strategy beside one of our schedulers, in a ServerApp of one's own; needs Flower."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from ...common.units import SECONDS_PER_HOUR
from ...envs.contract import Scheduler
from .foreign_loop import ForeignLoop, LoopFacts, LoopOrders

STEPS_KEY = "local-steps"
"""Where in a message's configuration a ClientApp finds how many steps it is to take."""

EvaluateFn = Callable[[int, ArrayRecord], MetricRecord | None]


@dataclass(frozen=True)
class MetricNames:
    """What metrics are called; of several the first that is there counts."""

    train_loss: tuple[str, ...] = ("train_loss", "loss")  # of a node, over its training
    samples: tuple[str, ...] = ("num-examples",)  # that a node trains on
    accuracy: tuple[str, ...] = ("accuracy", "eval_acc")  # of the model, 0 to 1, told by whoever evaluates it
    loss: tuple[str, ...] = ("loss", "eval_loss")  # likewise


@dataclass
class _Pending:
    """A round that a scheduler has ordered and has not been told the outcome of."""

    began_s: float
    losses: dict[int, float]
    samples: dict[int, int]


class ScheduledStrategy(Strategy):
    """A Flower strategy whose nodes a scheduler chooses; all else is the strategy's own.

    The strategy is asked for its messages to all nodes, so it should sample them all (`fraction_train=1.0`,
    Flower's default); those to nodes that the scheduler did not invite are not sent. The others carry
    `local-steps` in their configuration. If the scheduler waits, so does the round; once it has ended the
    run, the rounds that are left train nobody. How many answers a round waits for is Flower's: all.

    Example:
        >>> strategy = ScheduledStrategy(FedAdam(), make_scheduler("oort", participants=3), clients=20)
        >>> strategy.start(grid, initial_arrays, num_rounds=40, evaluate_fn=evaluate)

    Args:
        strategy: any of Flower's, or one's own.
        scheduler: any that needs no future and no losses before a round.
        clients: nodes there can be; who comes later is not asked.
        facts: of nodes and costs; what is left out is the same for all.
        names: of metrics.
        seed: of the scheduler's random numbers.
        sleep: lets seconds pass.
        clock: seconds that never go back.

    Raises:
        ValueError: one line: a scheduler that needs the future, or facts that do not fit.
    """

    def __init__(
        self,
        strategy: Strategy,
        scheduler: Scheduler,
        clients: int,
        facts: LoopFacts | None = None,
        names: MetricNames | None = None,
        seed: int = 0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        if clients < 1:
            raise ValueError(f"clients: {clients}, expected at least 1")
        self.strategy, self.names = strategy, names or MetricNames()
        self._loop = ForeignLoop(scheduler, [1] * clients, facts, seed=seed)
        self._clients, self._index = clients, dict[int, int]()
        self._sleep, self._clock = sleep, clock
        self._accuracy, self._loss = 0.0, float("nan")
        self._pending: _Pending | None = None
        self._ended = False

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: EvaluateFn | None = None,
    ) -> Result:
        """See `Strategy.start`; the scheduler is told what `evaluate_fn` finds."""
        heard = None if evaluate_fn is None else self._overheard(evaluate_fn)
        configs = (train_config, evaluate_config)
        return super().start(grid, initial_arrays, num_rounds, timeout, *configs, heard)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The strategy's messages to those whom the scheduler invites."""
        self._tell()
        orders = self._orders(grid)
        if not orders:
            return []
        self._pending = _Pending(self._clock(), {}, {})
        messages = list(self.strategy.configure_train(server_round, arrays, config, grid))
        chosen = {node: orders[client] for node, client in self._index.items() if client in orders}
        sent = [message for message in messages if message.metadata.dst_node_id in chosen]
        if not sent:
            raise ValueError(
                f"strategy: no message to any of the {len(chosen)} nodes that were invited, expected one "
                "that samples all nodes: fraction_train=1.0"
            )
        for message in sent:
            message.content = _with_steps(message.content, chosen[message.metadata.dst_node_id])
        return sent

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The strategy's; the scheduler is told who answered, and with what loss."""
        came = list(replies)
        pending = self._pending
        for reply in came:
            client = self._index.get(reply.metadata.src_node_id)
            if pending is None or client is None or reply.has_error():
                continue
            said = _numbers(reply.content)
            pending.losses[client] = _first(said, self.names.train_loss, float("nan"))
            pending.samples[client] = max(int(_first(said, self.names.samples, 1)), 1)
        found: tuple[ArrayRecord | None, MetricRecord | None] = self.strategy.aggregate_train(
            server_round, came
        )
        return found

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The strategy's."""
        messages: Iterable[Message] = self.strategy.configure_evaluate(server_round, arrays, config, grid)
        return messages

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """The strategy's; the scheduler is told accuracy and loss."""
        found = self.strategy.aggregate_evaluate(server_round, replies)
        self._hear(found)
        return found

    def summary(self) -> None:
        """The strategy's."""
        self.strategy.summary()

    def _orders(self, grid: Grid) -> dict[int, int]:
        """Local steps by client, after whatever the scheduler waits for; empty once it has ended the run."""
        while not self._ended:
            here = self._here(grid.get_node_ids())
            asked: LoopOrders = self._loop.ask(here, _utc_hour())
            if asked.local_steps:
                return asked.local_steps
            self._ended = bool(np.isinf(asked.wait_s))
            if not self._ended:
                self._sleep(asked.wait_s)
                self._loop.wait(asked.wait_s / SECONDS_PER_HOUR)
        return {}

    def _here(self, nodes: Iterable[int]) -> list[bool]:
        """`[N]`, who is connected; nodes are numbered as they come."""
        here = [False] * self._clients
        for node in nodes:
            if node not in self._index and len(self._index) < self._clients:
                self._index[node] = len(self._index)
            if node in self._index:
                here[self._index[node]] = True
        return here

    def _tell(self) -> None:
        """What came of the last round, now that it has been evaluated."""
        if (last := self._pending) is not None:
            hours = (self._clock() - last.began_s) / SECONDS_PER_HOUR
            self._loop.tell(last.losses, self._accuracy, self._loss, hours, last.samples)
        self._pending = None

    def _hear(self, metrics: MetricRecord | None) -> None:
        """Accuracy and loss of the model, if these metrics have them."""
        said = {} if metrics is None else _plain(metrics)
        self._accuracy = _first(said, self.names.accuracy, self._accuracy)
        self._loss = _first(said, self.names.loss, self._loss)

    def _overheard(self, evaluate_fn: EvaluateFn) -> EvaluateFn:
        def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
            found = evaluate_fn(server_round, arrays)
            self._hear(found)
            return found

        return evaluate


def _with_steps(content: RecordDict, local_steps: int) -> RecordDict:
    """The same records, with the steps in their configuration; records are shared, so these are others."""
    name = next(iter(content.config_records), "config")
    config = dict(content.config_records.get(name, ConfigRecord()))
    return RecordDict({**content, name: ConfigRecord({**config, STEPS_KEY: local_steps})})


def _numbers(content: RecordDict) -> dict[str, float]:
    """All metrics of a reply by name."""
    found: dict[str, float] = {}
    for record in content.metric_records.values():
        found |= _plain(record)
    return found


def _plain(record: MetricRecord) -> dict[str, float]:
    return {name: float(value) for name, value in record.items() if isinstance(value, int | float)}


def _first(said: Mapping[str, float], names: Sequence[str], otherwise: float) -> float:
    return next((said[name] for name in names if name in said), otherwise)


def _utc_hour() -> float:
    now = datetime.now(timezone.utc)
    return now.hour + now.minute / 60.0
