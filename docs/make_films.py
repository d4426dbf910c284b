"""Make the moving pictures of docs/images/worlds/: one test episode of each world, by what `render` draws.

python docs/make_films.py [NAME ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

import frugalfl
from frugalfl.agents.zoo import shipped_names
from frugalfl.envs.registration import WORLDS
from frugalfl.envs.scenario import scenario_names

FOLDER = Path(__file__).resolve().parent / "images" / "worlds"
SIZE, COLOURS, FRAMES, FRAME_MS, LAST_MS = (720, 450), 64, 24, 500, 3000
LIMIT_BYTES = 900_000


def player_of(name: str) -> str:
    """Who plays: the trained scheduler of the world, or one that plays anywhere."""
    return f"{name}-ppo" if f"{name}-ppo" in shipped_names() else "random-m"


def film(name: str, seed: int, rounds: int) -> list[Image.Image]:
    """The pictures of one test episode, the last of them at its end."""
    title = next((title for title, scenario in WORLDS.items() if scenario == name), "Volunteers")
    env = gym.make(
        f"frugalfl/{title}-v0", scenario=name, split="test", render_mode="rgb_array", levels={"first_stop": 0}
    )
    policy = frugalfl.as_policy(player_of(name), env)
    observation, _ = env.reset(seed=seed)
    pictures, ended = [], False
    while not ended and len(pictures) < rounds:
        observation, _, terminated, truncated, _ = env.step(policy.predict(observation)[0])
        pictures.append(env.render())
        ended = terminated or truncated
    kept = np.unique(np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int))
    shown = [Image.fromarray(pictures[k]).resize(SIZE) for k in kept]
    # One palette for all, which keeps rare colours apart: a lost update is a few pixels of its own.
    palette = shown[-1].quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=3)
    return [each.quantize(palette=palette, dither=Image.Dither.NONE) for each in shown]


def main() -> None:
    """Write the films that were asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=scenario_names(), metavar="NAME")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=60, help="end after so many decisions")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        first, *others = film(name, options.seed, options.rounds)
        shown = [FRAME_MS] * len(others) + [LAST_MS]
        path = FOLDER / f"{name}.gif"
        first.save(path, save_all=True, append_images=others, duration=shown, loop=0, optimize=True)
        if path.stat().st_size > LIMIT_BYTES:
            raise SystemExit(
                f"{path}: {path.stat().st_size} bytes, expected at most {LIMIT_BYTES}; fewer rounds"
            )
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
