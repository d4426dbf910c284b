"""One world of serving twice: by a live coordinator whose nodes are in this process, and in the simulator.

    python benchmarks/serve_twice.py --scheduler online-greedy

All of a live run is at work but Flower: coordinator, book, courier, trained models that really answer every
row. Nodes take as long as the profile says of their answers, and `--trip-s` for the way; nobody waits for it.
The simulator plays the same world with the same policy and seed, and is charged for the same bytes. Prints
what both came to, and in how many steps plans and answers were the same.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from frugalfl.agents.deploy import ServeSettings
from frugalfl.agents.deploy.run import ServingCoordinator, load_step, named_policy
from frugalfl.agents.deploy.transport import Clock, Order, Reply
from frugalfl.common.arrays import Floats
from frugalfl.envs.contract import rollout
from frugalfl.envs.serving import ServingOutcome, ServingPlan, ServingScenario, ServingWorld, load_serving
from frugalfl.fl_core.remote import ModelLoad, ServeOrder, ServeReply, answer_order

_THREE = {
    "machines": [{"hardware": "cpu", "machines": 3, "devices": {"kind": "volunteers", "gpu": 0}}],
    "zones": 3,
    "carbon": ["GB", "JP-TK", "BR-CS"],
    "availability": {"kind": "stays", "on_mean_h": 1e4, "off_mean_h": 1e-3},
    "arrivals": {"kind": "poisson", "per_hour": 60, "profile": "flat", "burst": 0, "zipf": 1.2},
    "deadline_h": 0.5,
    "rows_per_cell": 4096,
}
_ALIKE = {"deferrable": 0.0, "hub": {"share": 0.0}, "start_s": 0.0, "preferences": {"points_per_ms": 0.0}}
WORLDS = {
    "alike": {**_THREE, **_ALIKE, "arrivals": {**_THREE["arrivals"], "per_hour": 20}},  # type: ignore[dict-item]
    "three": {**_THREE, "preferences": {"points_per_ms": 0.0003}},
}
"""Three desktops that stay. In `alike` there is room for everybody, time has no price and nothing waits; in
`three` slots and hub are scarce, half of the requests may wait, and milliseconds decide too."""


class OwnTime:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def __call__(self) -> float:
        """Seconds now."""
        return self.now_s

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Have something done later."""
        heapq.heappush(self._due, (time_s, len(self._due), action))

    def sleep(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        end_s = self.now_s + seconds
        while self._due and self._due[0][0] <= end_s:
            self.now_s, _, action = heapq.heappop(self._due)
            action()
        self.now_s = end_s


class NodesHere:
    """A transport to nodes of this process, one for each machine.

    Args:
        time: that passes.
        trip_s: there and back, of every message.
    """

    def __init__(self, time: OwnTime, trip_s: float) -> None:
        self.time, self.trip_s = time, trip_s
        self.latency_ms: Floats = np.zeros((0, 0))  # [N, M] of an answer, before the first order
        self._inbox: dict[str, Reply] = {}
        self._held: dict[int, dict[int, ModelLoad]] = {}
        self._count = 0

    def nodes(self) -> dict[int, str]:
        """All of them."""
        return {1 + client: "1" for client in range(len(self.latency_ms))}

    def ask(self, node: int, ttl_s: float) -> str | None:
        """Who it is."""
        said = {"name": f"node-{node}", "client": node - 1}
        return self._later(self.trip_s, lambda ticket: Reply(ticket, profile=said))

    def send(self, node: int, order: Order, ttl_s: float) -> tuple[str | None, int]:
        """It answers with what it holds, as fast as the profile says, and then loads."""
        assert isinstance(order, ServeOrder)
        reply, took_s = self._carry_out(node, order)
        size = sum(each.rows.nbytes for each in order.questions)
        size += sum(load.parameters.nbytes for load in order.loads)
        up_bytes = sum(each.choice.nbytes + each.confidence.nbytes for each in reply.answers)

        def answer(ticket: str) -> Reply:
            return Reply(ticket, served=reply, up_bytes=up_bytes)

        return self._later(self.trip_s + took_s, answer), size

    def poll(self, tickets: Iterable[str]) -> list[Reply]:
        """Answers that have come."""
        return [self._inbox.pop(ticket) for ticket in tickets if ticket in self._inbox]

    def _carry_out(self, node: int, order: ServeOrder) -> tuple[ServeReply, float]:
        held = self._held.get(node, {})
        reply, self._held[node] = answer_order(order, held)
        rungs = self.latency_ms.shape[1]
        rung = {asked.slot: asked.model % rungs for asked in order.questions}
        ms = self.latency_ms[node - 1]
        answers = [
            replace(each, took_s=float(ms[rung[each.slot]] * each.choice.size / 1e3))
            for each in reply.answers
        ]
        return replace(reply, answers=tuple(answers)), sum(each.took_s for each in answers)

    def _later(self, seconds: float, answer: Callable[[str], Reply]) -> str:
        self._count += 1
        ticket = f"ticket-{self._count}"

        def finish() -> None:
            self._inbox[ticket] = answer(ticket)

        self.time.at(self.time.now_s + seconds, finish)
        return ticket


@dataclass(frozen=True)
class Step:
    """What one step was planned and seen to do."""

    plan: ServingPlan
    outcome: ServingOutcome
    terms: Floats  # [4] points


def world_of(name: str, hours: float) -> ServingScenario:
    """The scenario of both runs."""
    return load_serving("serving", name=name, hours=hours, **WORLDS[name])


def play_live(
    scenario: ServingScenario, policy: str, trip_s: float, seed: int
) -> tuple[ServingScenario, list[Step]]:
    """The live run: the scenario as it was charged, and its steps."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ServeSettings(
            scenario=scenario.model_dump(),
            scheduler=policy,
            out=folder,
            seed=seed,
            min_nodes=scenario.nodes,
            poll_s=0.5,
            patience_s=scenario.step_s,
        )
        time = OwnTime()
        nodes = NodesHere(time, trip_s)
        coordinator = ServingCoordinator(settings, nodes, clock=Clock(0.0, 1.0, time, time.sleep))
        world = coordinator.world
        world.courier.wall = time
        nodes.latency_ms = world.situation().slots.latency_ms[0]
        world.gather(scenario.nodes, 60.0)
        steps: list[Step] = []
        while world.running:
            coordinator.decide()
            _, plan, outcome = load_step(coordinator.out, coordinator.decisions - 1)
            row = coordinator.dashboard.rows[-1]
            terms = np.array([value for name, value in row.items() if name.startswith("points/")])
            steps.append(Step(plan, outcome, terms))
        coordinator.dashboard.close()
    return world.scenario, steps


def play_simulated(charged: ServingScenario, scenario: ServingScenario, policy: str, seed: int) -> list[Step]:
    """The same world in the simulator."""
    settings = ServeSettings(scenario=scenario.model_dump(), scheduler=policy, out="unused")
    turns = rollout(ServingWorld(charged, 1, "test"), named_policy(settings), np.array([seed]))
    return [Step(turn.plan, turn.result.outcome, turn.result.terms[0]) for turn in turns]


def same_plan(one: Step, other: Step) -> bool:
    """Whether both were planned alike."""
    names = ("load", "threshold", "release")
    return all(np.array_equal(getattr(one.plan, name), getattr(other.plan, name)) for name in names)


def same_answers(one: Step, other: Step) -> bool:
    """Whether the same number of every task was asked, answered, answered rightly and dropped."""
    names = ("requests", "answered", "right", "dropped")
    return all(np.allclose(getattr(one.outcome, n), getattr(other.outcome, n), atol=1e-9) for n in names)


ROWS: dict[str, Callable[[Step], float]] = {
    "asked": lambda s: s.outcome.requests.sum(),
    "answered": lambda s: s.outcome.answered.sum(),
    "by the hub": lambda s: s.outcome.hub.sum(),
    "right": lambda s: s.outcome.right.sum(),
    "dropped": lambda s: s.outcome.dropped.sum(),
    "loads": lambda s: s.outcome.begun.sum(),
    "s waited for": lambda s: s.outcome.latency_ms.sum() / 1e3,
    "kB moved": lambda s: s.outcome.bytes.sum() / 1e3,
    "kJ": lambda s: (s.outcome.energy_j.sum() + s.outcome.hub_j.sum()) / 1e3,
    "g CO2e": lambda s: s.outcome.emissions_g.sum() + s.outcome.hub_g.sum(),
    "points of answers": lambda s: s.terms[0],
    "points of time": lambda s: s.terms[1],
    "points of bytes": lambda s: s.terms[2],
    "points of emissions": lambda s: s.terms[3],
}


def table(live: list[Step], simulated: list[Step]) -> str:
    """Sums of both, in Markdown."""
    lines = ["| | simulated | live |", "|---|---:|---:|"]
    for name, of in ROWS.items():
        sums = [sum(float(of(step)) for step in steps) for steps in (simulated, live)]
        lines.append(f"| {name} | {sums[0]:,.2f} | {sums[1]:,.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Play both worlds twice and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scheduler", default="online-greedy")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--trip-s", type=float, default=0.1, help="there and back, of every message")
    parser.add_argument("--seed", type=int, default=5)
    said = parser.parse_args()
    for name in WORLDS:
        scenario = world_of(name, said.hours)
        charged, live = play_live(scenario, said.scheduler, said.trip_s, said.seed)
        simulated = play_simulated(charged, scenario, said.scheduler, said.seed)
        pairs = list(zip(live, simulated, strict=True))
        plans, answers = (sum(same(*pair) for pair in pairs) for same in (same_plan, same_answers))
        print(f"\n{name}: of {len(pairs)} steps {plans} were planned alike, {answers} answered alike\n")
        print(table(live, simulated))


if __name__ == "__main__":
    main()
