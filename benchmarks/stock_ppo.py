"""What PPO of Stable-Baselines3 learns in its first thousands of steps, with its own network, untuned.

    python benchmarks/stock_ppo.py --envs frugalfl/SpotMarket-v0 frugalfl/Quadratic-discrete-v0

Net points of the drawn and of the likeliest actions, on the same test episodes after every mark.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from stable_baselines3 import PPO

import frugalfl


def played(model: PPO, env_id: str, episodes: int, deterministic: bool) -> tuple[float, float, float]:
    """Mean net points, their standard error and mean rounds of as many test episodes."""
    venv = frugalfl.make_vec_env(env_id, n_envs=episodes, split="test")
    venv.seed(1000)
    seen = venv.reset()
    torch.manual_seed(0)
    ended: dict[int, tuple[float, float]] = {}
    while len(ended) < episodes:
        actions, _ = model.predict(seen, deterministic=deterministic)
        seen, _, over, infos = venv.step(actions)
        for env in np.flatnonzero(over):
            ended.setdefault(int(env), (infos[env]["episode"]["r"], infos[env]["episode_totals"]["rounds"]))
    points, rounds = np.array(list(ended.values()), dtype=float).T
    return float(points.mean()), float(points.std() / np.sqrt(episodes)), float(rounds.mean())


def main() -> None:
    """One row for each environment and mark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--envs", nargs="+", default=["frugalfl/Quadratic-v0"], metavar="ID")
    parser.add_argument("--marks", nargs="+", type=int, default=[0, 1024, 4096], metavar="STEPS")
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| environment | steps | drawn | rounds | likeliest | rounds |\n|---|---:|---:|---:|---:|---:|")
    for env_id in options.envs:
        venv = frugalfl.make_vec_env(env_id, n_envs=8)
        model = PPO(
            "MultiInputPolicy",
            venv,
            n_steps=32,
            batch_size=64,
            gamma=1.0,
            learning_rate=1e-3,
            seed=options.seed,
            device="cpu",
        )
        for mark in options.marks:
            if mark > model.num_timesteps:
                model.learn(mark - model.num_timesteps, reset_num_timesteps=False)
            cells = [f"{env_id.removeprefix('frugalfl/')}", f"{model.num_timesteps:,}"]
            for deterministic in (False, True):
                mean, error, rounds = played(model, env_id, options.episodes, deterministic)
                cells += [f"{mean:.1f} ± {error:.1f}", f"{rounds:.1f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
