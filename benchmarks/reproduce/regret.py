"""Regret of online gradient and mirror ascent: its growth with T, its bounds, and what it is in the worlds.

    python benchmarks/reproduce/regret.py [--episodes 8]

Sequences: one client at random is worth 1 in each round ("random"), and one set of clients in the first half,
another in the second ("switch"); everybody there, no quota to speak of. "agrees" means: never above the
bound D G sqrt(T) or m G sqrt(2 ln(N / m) T), and an exponent of growth of at most 0.6 where the theory says
0.5. Regret below 0 means that following the changes earned more than any fixed point. In the worlds it is
mostly that: the fixed point earns nothing while a client is away, and what is played goes to those there.
About a minute.
"""

from __future__ import annotations

import argparse

import numpy as np
from verdicts import Verdicts

from frugalfl.agents.evaluation import evaluate
from frugalfl.agents.schedulers import make_scheduler

CLIENTS, INVITED, HORIZONS, REPEATS = 24, 5, (100, 400, 1600, 6400), 16


def sequence(kind: str, horizon: int, rng: np.random.Generator) -> np.ndarray:
    """Gains `[T, REPEATS, N]` of length at most 1 in the Euclidean norm."""
    gains = np.zeros((horizon, REPEATS, CLIENTS))
    if kind == "random":
        worth = rng.integers(CLIENTS, size=(horizon, REPEATS, 1))
        np.put_along_axis(gains, worth, 1.0, axis=2)
    else:
        half = horizon // 2
        gains[:half, :, :INVITED] = gains[half:, :, INVITED : 2 * INVITED] = 1 / np.sqrt(INVITED)
    return gains


def regret(name: str, gains: np.ndarray) -> tuple[float, float]:
    """Mean regret over the repetitions, and the bound."""
    scheduler = make_scheduler(name, participants=INVITED, quota=0.01)
    scheduler.reset(np.ones(REPEATS, dtype=bool), np.arange(REPEATS), CLIENTS)
    state, (_, least) = scheduler.state, scheduler.size(CLIENTS)
    state["horizon"][:] = len(gains)
    for each in gains:
        x = least + (1 - least) * state["point"]
        state["gained"], state["earned"] = state["gained"] + each, state["earned"] + (each * x).sum(axis=1)
        scheduler.ascend(each, np.ones(REPEATS, dtype=bool))
    worst, bound = scheduler.regret().max(), scheduler.regret_bound()[0]
    assert worst <= bound, f"{name}: regret {worst} above its bound {bound}"
    return float(scheduler.regret().mean()), float(bound)


def growth(table: Verdicts) -> None:
    """Regret by horizon."""
    for name in ("oga", "oma"):
        for kind in ("random", "switch"):
            pairs = [regret(name, sequence(kind, t, np.random.default_rng(t))) for t in HORIZONS]
            means = np.array([mean for mean, _ in pairs])
            exponent = np.polyfit(np.log(HORIZONS), np.log(np.maximum(means, 1.0)), 1)[0]
            ours = ", ".join(f"{mean:.1f} of {bound:.1f}" for mean, bound in pairs)
            ours += f"; T^{exponent:.2f}" if means.min() > 0 else "; better than any fixed point"
            claim = f"{name}, {kind}: regret of its bound at T = {', '.join(map(str, HORIZONS))}"
            table.add(claim, "T^0.5 at most", ours, bool(exponent <= 0.6))


def worlds(table: Verdicts, episodes: int) -> None:
    """Regret of the played marginals, and net points beside random participants."""
    for world in ("volunteers", "phones", "spotmarket"):
        players = {name: make_scheduler(name) for name in ("random-m", "oga", "oma")}
        result = evaluate(players, world, episodes=episodes, split="val", batch=episodes, progress=False)
        points = {name: result.values(name, "net_points").mean() for name in players}
        for name in ("oga", "oma"):
            mean, bound = players[name].regret().mean(), players[name].regret_bound().mean()
            ours = f"{mean:.1f} (bound {bound:.1f}); "
            ours += f"net points {points[name]:.1f}, random {points['random-m']:.1f}"
            within = bool((players[name].regret() <= players[name].regret_bound()).all())
            table.add(f"{name} in {world}, defaults", "below its bound in every episode", ours, within)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=8)
    episodes = parser.parse_args().episodes
    table = Verdicts("Regret of online ascent on the capped simplex (Zinkevich 2003; Si Salem et al. 2021)")
    growth(table)
    worlds(table, episodes)
    table.show()


if __name__ == "__main__":
    main()
