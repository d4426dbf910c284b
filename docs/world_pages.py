"""The pages of docs/worlds/: a sentence by hand, and blocks from the code and from docs/results.md.

`python docs/make_tables.py` writes the blocks of every packaged scenario, and a page for one that has none.
`python docs/make_films.py NAME` makes its moving picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from frugalfl.common.ranges import Drawn
from frugalfl.envs.registration import WORLDS
from frugalfl.envs.scenario import Scenario, load_scenario, scenario_names

HERE = Path(__file__).resolve().parent
PAGES = HERE / "worlds"
FILMS = HERE / "images" / "worlds"
BOARD = HERE / "leaderboard.md"
BLOCK = re.compile(r"(<!-- written: (\w+) -->\n).*?(<!-- /written -->)", re.DOTALL)
RIVALS = 6
"""Handcrafted schedulers in a world's table of reference scores, besides those that are always in it."""
ALWAYS = ("learned", "hindsight", "random-m", "all-available")

TEMPLATE = """\
# {title}

<!-- written: film -->
<!-- /written -->

{opening}

## Data sheet

<!-- written: sheet -->
<!-- /written -->

The document itself says of every number why:

??? note "{name}.yaml"

    ```yaml
    --8<-- "envs/scenario/packaged/{name}.yaml"
    ```

## What a decision is worth

<!-- written: worth -->
<!-- /written -->

## Reference scores

<!-- written: scores -->
<!-- /written -->
"""


def world_pages() -> dict[Path, str]:
    """Every page as it should be, by its path."""
    pages = {PAGES / "index.md": _index()}
    for name in scenario_names():
        path = PAGES / f"{name}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else _new_page(name)
        pages[path] = BLOCK.sub(lambda found, name=name: _block(found, name), text)
    pages[BOARD] = BLOCK.sub(lambda found: _block(found, ""), BOARD.read_text(encoding="utf-8"))
    return pages


def title_of(name: str) -> str:
    """How a packaged scenario is written in headings."""
    return next((title for title, scenario in WORLDS.items() if scenario == name), name.capitalize())


def summary_of(name: str) -> str:
    """The first sentence, or half of one, that a page says by hand."""
    text = (
        (PAGES / f"{name}.md").read_text(encoding="utf-8")
        if (PAGES / f"{name}.md").exists()
        else _new_page(name)
    )
    paragraphs = [
        part for part in re.sub(r"<!-- written.*?/written -->", "", text, flags=re.DOTALL).split("\n\n")
    ]
    said = (part.strip() for part in paragraphs if part.strip() and not part.strip().startswith("#"))
    return re.split(r"(?<=[.;:]) ", " ".join(next(said, "").split()))[0].rstrip(";:.") + "."


def _new_page(name: str) -> str:
    opening = f"`{name}` is a packaged scenario; its document below says what it is made of."
    return TEMPLATE.format(title=title_of(name), name=name, opening=opening)


def _block(found: re.Match[str], name: str) -> str:
    makers = {"film": _film, "sheet": _sheet, "worth": _worth, "scores": _scores, "leaderboard": _leaderboard}
    lines = makers[found[2]](name)
    return "".join([found[1], *(line + "\n" for line in lines), found[3]])


def _index() -> str:
    rows = [f"| [{title_of(name)}]({name}.md) | {summary_of(name)} |" for name in scenario_names()]
    return "\n".join(
        [
            "# Worlds",
            "",
            "Written by `python docs/make_tables.py`. Every world is a document:",
            "[environments](../environments.md)",
            "has spaces, levels and prices of all side by side,",
            "[your own world](../tutorials/your_own_world.md)",
            "changes one.",
            "",
            "| world | |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _film(name: str) -> list[str]:
    if not (FILMS / f"{name}.gif").exists():
        return []
    return [
        f"![An episode of {title_of(name)}, client by client](../images/worlds/{name}.gif){{ .film }}",
        "",
        f"*One test episode, each row a client; made by `python docs/make_films.py {name}`.*",
    ]


def _sheet(name: str) -> list[str]:
    """The document's figures, in rows that all worlds share."""
    world = load_scenario(name)
    learns = "heterogeneous quadratics with an exact optimum"
    if world.quadratic is None:
        learns = f"{_said(world.dataset)}, dealt {_said(world.partition)}; model {_said(world.model)}"
    rows = [
        ("Ids", _ids(name)),
        ("Who", f"{world.clients} clients in {world.zones} zones; devices {_said(world.devices)}"),
        ("Availability", _said(world.availability)),
        ("Grids", _said(world.carbon)),
        ("What is learned", learns),
        ("Clients' training", _said(world.training.model_dump(exclude_unset=True)) or "defaults"),
        ("Server", _said(world.aggregator)),
        ("At the hub", _hub(world)),
        ("A model transfer", _amount(world.workload.model_bytes, 1e6, "MB")),
        ("A sample", _amount(world.workload.sample_bytes, 1e6, "MB")),
        ("A local step", _amount(world.workload.step_s, 1, "s on the reference device")),
        ("Prices, points", "; ".join(_prices(world))),
        ("A run", f"{_amount(world.budgets.hours, 1, 'h')}, at most {world.max_rounds} rounds"),
        ("Kinds", ", ".join(str(kind["name"]) for kind in world.mixture)),
    ]
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows if value)]


def _ids(name: str) -> str:
    title = next((title for title, scenario in WORLDS.items() if scenario == name), None)
    if title is None:
        return f'`gym.make("frugalfl/Volunteers-v0", scenario="{name}")`, `frugalfl evaluate --env {name}`'
    return f"`frugalfl/{title}-v0` and its [other forms](../environments.md#ids)"


def _hub(world: Scenario) -> str:
    if not world.hub.share:
        return ""
    room = f"a client has room for {world.hub.rows_per_client} rows of it"
    return f"{100 * world.hub.share:g} % of the data; {room}"


def _prices(world: Scenario) -> list[str]:
    prices: Drawn = world.preferences
    return [
        f"{_amount(getattr(prices, f'price_per_{unit}'), 1, '')} per {text}".replace("  ", " ")
        for unit, text in (("hour", "hour"), ("gb", "GB"), ("kg", "kg CO2e"))
    ]


def _amount(value: object, divisor: float, unit: str) -> str:
    """A setting, or the range it is drawn from, in a unit."""
    if isinstance(value, tuple):
        return f"{value[0] / divisor:g} to {value[1] / divisor:g} {unit}".rstrip()
    return f"{value / divisor:g} {unit}".rstrip() if isinstance(value, int | float) else str(value)


def _said(value: object) -> str:
    """A setting as a reader says it: its name, or a line of YAML in code."""
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return ", ".join(dict.fromkeys(value)) + (" (all on one grid)" if len(set(value)) == 1 else "")
    plain = yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000, sort_keys=False).strip()
    return f"`{plain}`" if plain != "{}" else ""


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _worth(name: str) -> list[str]:
    """The world's column of the table of decisions."""
    title = title_of(name)
    table = _table(_chapter("What a decision is worth"), "worth, net points")
    if not table or title not in table[0]:
        return ["Not measured yet; see [what is not reached](../results.md#what-is-not-reached)."]
    column = table[0].index(title)
    return [
        f"| | {title}, net points |",
        "|---|---:|",
        *(f"| {row[0]} | {row[column]} |" for row in table[1:]),
        "",
        "What a linear rule loses when the decision is held at its best constant; after the stroke, where",
        "there was one, the second study with other searches and other episodes.",
        "[How it was measured](../results.md#what-a-decision-is-worth).",
    ]


def _scores(name: str) -> list[str]:
    """The head of the world's table of everybody, and who is always in it."""
    title = title_of(name)
    chapter = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", _results(), re.MULTILINE | re.DOTALL)
    table = _table(chapter[1] if chapter else "", "scheduler")
    if not table:
        return ["No table of everybody yet; see [results](../results.md)."]
    rows, rivals = [], 0
    for row in table[1:]:
        kept = any(word in row[0] for word in ALWAYS) and "greenfl" not in row[0]
        if not kept and rivals < RIVALS:
            rivals, kept = rivals + 1, True
        if kept:
            rows.append("| " + " | ".join(row) + " |")
    return [
        "| " + " | ".join(table[0]) + " |",
        "|---" + "|---:" * (len(table[0]) - 1) + "|",
        *rows,
        "",
        f"Interquartile means over 64 paired test episodes; [everybody](../results.md#{title.lower()}),",
        "and what the intervals say.",
    ]


def _leaderboard(_: str) -> list[str]:
    """A table for each world of docs/leaderboard.yaml."""
    scores = yaml.safe_load((HERE / "leaderboard.yaml").read_text(encoding="utf-8"))
    lines: list[str] = []
    for world in dict.fromkeys(score["world"] for score in scores):
        lines += [f"## {title_of(world)}", ""] if not lines else ["", f"## {title_of(world)}", ""]
        lines += ["| | scheduler | net points | spent | by |", "|---:|---|---:|---:|---|"]
        rows = sorted(
            (each for each in scores if each["world"] == world), key=lambda each: -each["net_points"]
        )
        for place, each in enumerate(rows, 1):
            points = f"{each['net_points']:.1f} [{each['low']:.1f}, {each['high']:.1f}]"
            spent = f"{each['rounds_spent']:,}" if each.get("rounds_spent") else "-"
            lines.append(f"| {place} | `{each['scheduler']}` | {points} | {spent} | {each['by']} |")
    return lines


def _results() -> str:
    return (HERE / "results.md").read_text(encoding="utf-8")


def _chapter(title: str) -> str:
    return _results().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _table(text: str, first: str) -> list[list[str]]:
    """Cells of the first table whose first cell begins so, without the line of dashes."""
    lines: Iterable[str] = text.splitlines()
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith(f"| {first}") or (rows and line.startswith("|")):
            rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        elif rows:
            break
    return [row for row in rows if set("".join(row)) - set("-: ")]
