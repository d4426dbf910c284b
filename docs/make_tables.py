"""Write the tables of docs/environments.md from the code, or check that they are up to date.

python docs/make_tables.py [--check]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from frugalfl.envs.base import layout_of
from frugalfl.envs.encoder import CLIENT_TABLE, SERVER_TABLE
from frugalfl.envs.registration import WORLDS, entries
from frugalfl.envs.scenario import load_scenario

PAGE = Path(__file__).with_name("environments.md")


def feature_table(title: str, table: dict[str, str]) -> list[str]:
    """One observation part as Markdown."""
    rows = [f"| {index} | `{name}` | {meaning} |" for index, (name, meaning) in enumerate(table.items())]
    return [f"### {title}", "", "| # | name | meaning |", "|---|---|---|", *rows, ""]


def world_table() -> list[str]:
    """The worlds' sizes, levels and prices as Markdown."""
    lines = ["| world | N | zones | waits | quorums | local steps | samples sent | points per h, GB, kg |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, source in WORLDS.items():
        scenario = load_scenario(source)
        layout, prices = layout_of(scenario), scenario.preferences
        waits = ", ".join("stop" if wait == float("inf") else f"{wait / 3600:g} h" for wait in layout.wait_s)
        cells = [
            name,
            scenario.clients,
            scenario.zones,
            waits,
            ", ".join(f"{q:g}" for q in layout.quorum),
            ", ".join(map(str, layout.local_steps)),
            ", ".join(map(str, layout.transfer_samples)),
            f"{prices.price_per_hour}, {prices.price_per_gb}, {prices.price_per_kg}",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return [*lines, ""]


def page() -> str:
    """The whole page."""
    ids = [f"- `{entry.id}`" for entry in entries()]
    lines = [
        "# Environments",
        "",
        "Written by `python docs/make_tables.py`; change the code, not this page.",
        "",
        "## Ids",
        "",
        *ids,
        "",
        "`-discrete` has a menu of schedulers as its action, `-scores` a Box, `mo-` a vector reward",
        "(accuracy, time, communication, emissions).",
        "",
        "## Worlds",
        "",
        *world_table(),
        "## Observation",
        "",
        "`Dict(clients=[N, F], server=[G], zones=[Z, H])`, float32 in [-1, 1]. Each number is a fixed",
        'bounded function of the `Situation`; "0.5 at x" means v / (v + x).',
        "",
        *feature_table("`clients`", CLIENT_TABLE),
        *feature_table("`server`", SERVER_TABLE),
        "### `zones`",
        "",
        "Per zone: intensity now (0.5 at 300 g/kWh), sine and cosine of the local hour, and the forecast at",
        "each lead of the scenario relative to now (negative = cleaner).",
        "",
        "## Action",
        "",
        "`MultiDiscrete([wait, quorum] + [steps] * N (+ [transfer] * N))`: indices into the levels above.",
        "The transfer part exists where data lies at the hub. `action_masks()` forbids inviting clients that",
        "are away, sending to full ones, and training now when nobody is there.",
        "",
        "## Info",
        "",
        "`reward_terms [4]`, `cost` (budget overrun as a share of the budget), `accuracy`, `duration_s`,",
        "`repairs`, `invited`, `completed`, `lost`, `cancelled`, `bytes`, `energy_j`, `emissions_g`,",
        "`wasted_j`, `busy_s` and the same five per client as `client_*`; `episode_totals` at the end.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        return int(current != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
