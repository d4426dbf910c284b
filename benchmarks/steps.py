"""Environment steps per second, real training included, for 1, 8, 32 and 128 worlds in one batch.

    python benchmarks/steps.py --threads 1

The actions are those of a coordinator that invites every second available client for ten local steps; what
else is a decision of a world, such as who is sent the new model, is drawn. In worlds of serving they are
those of one in whose empty slots models are loaded at random.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import frugalfl
from frugalfl.envs.agent_view import AgentView
from frugalfl.envs.serving import NOTHING
from frugalfl.envs.serving_view import ServingView
from frugalfl.fl_core.numerics import set_num_threads


def steps_per_second(
    env_id: str, num_envs: int, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median over five stretches of stepping one batch."""
    env = frugalfl.make_vec_env(env_id, num_envs)
    env.seed(0)
    env.reset()
    rng = np.random.default_rng(0)
    rates = []
    for stretch in range(6):
        count, start = 0, clock()
        while clock() - start < seconds / 6:
            env.step(actions(env.agent_view, rng))
            count += num_envs
        if stretch:  # the first one warms up
            rates.append(count / (clock() - start))
    return float(np.median(rates))


def actions(view: AgentView | ServingView, rng: np.random.Generator) -> np.ndarray:
    """One action per world."""
    if isinstance(view, ServingView):
        action = np.zeros((view.world.num_envs, view.action_mode.nvec.size), dtype=np.int64)
        slots, known = view.scenario.slots, view.situation
        empty = known.loadable & (known.slots.model == NOTHING)
        model = rng.integers(1, view.action_mode.nvec[-1], empty.shape)
        action[:, 0] = view.action_mode.nvec[0] - 1
        action[:, -slots:] = np.where(empty, model, 0)
        return action
    layout, num_envs = view.codec.layout, view.world.num_envs
    heads = layout.server_heads
    action = np.zeros((num_envs, layout.nvec.size), dtype=np.int64)
    invited = rng.random((num_envs, layout.num_clients)) < 0.5
    action[:, 2:heads] = rng.integers(0, layout.nvec[2:heads], (num_envs, heads - 2))
    action[:, heads : heads + layout.num_clients] = np.where(invited, 2, 0)
    return action


def main() -> None:
    """Print one row per world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    worlds = ["Volunteers", "Phones", "SpotMarket", "Outposts", "Roaming", "Quadratic"]
    parser.add_argument("--env", nargs="*", default=worlds)
    parser.add_argument("--worlds", nargs="*", type=int, default=[1, 8, 32, 128])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0, help="per figure")
    parser.add_argument(
        "--cpu", action="store_true", help="count processor time, on a machine that is shared"
    )
    args = parser.parse_args()
    clock = time.process_time if args.cpu else time.perf_counter
    set_num_threads(args.threads)
    print(f"environment steps/s with {args.threads} thread(s)")
    print("world       " + "".join(f"{count:>10}" for count in args.worlds))
    for name in args.env:
        rates = [steps_per_second(f"frugalfl/{name}-v0", count, args.seconds, clock) for count in args.worlds]
        print(f"{name:<12}" + "".join(f"{rate:>10.0f}" for rate in rates), flush=True)


if __name__ == "__main__":
    main()
