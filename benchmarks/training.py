"""Where the time of PPO goes: rounds per second end to end; shares of environment, acting and learning.

    python benchmarks/training.py --threads 1
    python benchmarks/training.py --worlds Volunteers --epochs 3 --profile
    python benchmarks/training.py --threads 2 --device cuda
    python benchmarks/training.py --distribution

Training as `train_agent.py` does it, without validation and checkpoints. CPU seconds of this process are
counted as well as wall seconds, so that a busy machine does not blur the shares; where the network is on
another device, the shares are of wall seconds, in which the processor waits for it.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.distributions import MultiCategoricalDistribution
from stable_baselines3.common.logger import configure

from frugalfl.agents.learning import PPOSettings, RunSettings
from frugalfl.agents.learning.algorithms import build_model
from frugalfl.agents.learning.learners_view import learners_view
from frugalfl.agents.learning.run_folder import training_worlds
from frugalfl.agents.policies.distribution import BatchedMultiCategorical
from frugalfl.fl_core.numerics import set_num_threads


class Stopwatch:
    """Seconds of a clock spent in methods, by name."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.spent_s: dict[str, float] = {}

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Count the time of a method of an object from now on."""
        inner = getattr(owner, method)
        self.spent_s.setdefault(name, 0.0)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began_s = self.clock()
            try:
                return inner(*args, **kwargs)
            finally:
                self.spent_s[name] += self.clock() - began_s

        setattr(owner, method, timed)


def measure(
    world: str, num_envs: int, updates: int, threads: int, epochs: int, profile: bool, device: str
) -> dict[str, float]:
    """Train for some updates after one that warms up."""
    learner = PPOSettings(rollout_steps=32, batch_size=1024, epochs=epochs, target_kl=1e9)
    settings = RunSettings(env=f"frugalfl/{world}-v0", num_envs=num_envs, ppo=learner, device=device)
    env = training_worlds(settings)
    model = build_model(settings, learners_view(settings, env))
    th.set_num_threads(threads)
    set_num_threads(threads)
    model.set_logger(configure(None, []))
    rollout = num_envs * learner.rollout_steps
    model.learn(rollout)
    watch = Stopwatch(time.process_time if device == "cpu" else time.perf_counter)
    watch.watch(model, "learn", "whole")
    watch.watch(env, "step_wait", "environment")
    watch.watch(model, "train", "learning")
    profiler = cProfile.Profile()
    began_s, cpu_s = time.perf_counter(), time.process_time()
    if profile:
        profiler.enable()
    model.learn(updates * rollout, reset_num_timesteps=False)
    profiler.disable()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
    rounds = updates * rollout
    whole_s = watch.spent_s.pop("whole")
    shares = {name: seconds / whole_s for name, seconds in watch.spent_s.items()}
    return {
        "per_s": rounds / wall_s,
        "per_cpu_s": rounds / cpu_s,
        **shares,
        "rest": 1.0 - sum(shares.values()),
    }


def distribution_seconds(kind: type[Any], nvec: list[int], batch: int = 256) -> float:
    """Best of five: log-probabilities, entropy and samples of a batch of actions with so many levels each."""
    rng = np.random.default_rng(0)
    logits = th.tensor(rng.normal(0, 3, (batch, sum(nvec))), dtype=th.float32)
    actions = th.tensor(rng.integers(0, nvec, (batch, len(nvec))))
    distribution, best_s = kind(nvec), float("inf")
    for _ in range(5):
        began_s = time.perf_counter()
        distribution.proba_distribution(logits)
        distribution.log_prob(actions)
        distribution.entropy()
        distribution.sample()
        best_s = min(best_s, time.perf_counter() - began_s)
    return best_s


def main() -> None:
    """Print one row per world."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", nargs="*", default=["Volunteers", "Phones", "SpotMarket"])
    parser.add_argument("--num-envs", type=int, default=128)
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--epochs", type=int, default=PPOSettings().epochs, help="passes over what was played"
    )
    parser.add_argument("--device", default="cpu", help="of the network: cpu, cuda")
    parser.add_argument("--profile", action="store_true", help="show the 25 dearest functions")
    parser.add_argument(
        "--distribution", action="store_true", help="our batched categorical beside SB3's loop"
    )
    args = parser.parse_args()
    if args.distribution:
        nvec = [4, 3] + [5] * 100
        ours, loop = (
            distribution_seconds(k, nvec) for k in (BatchedMultiCategorical, MultiCategoricalDistribution)
        )
        print(f"102 heads, batch of 256: {1e3 * ours:.2f} ms; SB3's loop: {1e3 * loop:.2f} ms")
        return
    place = f"{args.threads} thread(s), network on {args.device}"
    print(f"PPO, {args.num_envs} environments, {place}, real training included")
    print("world        rounds/s  per CPU s  environment  learning  acting and rest")
    for world in args.worlds:
        row = measure(
            world, args.num_envs, args.updates, args.threads, args.epochs, args.profile, args.device
        )
        print(
            f"{world:<12} {row['per_s']:>8.0f} {row['per_cpu_s']:>10.0f} {row['environment']:>11.0%} "
            f"{row['learning']:>9.0%} {row['rest']:>16.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
