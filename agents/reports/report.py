"""Report of an evaluation: a table on the terminal, CSV files, and a Markdown page with figures."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...common.files import slug, write_file, write_text
from ...common.spelling import printable
from ..evaluation import EvaluationResult
from ..evaluation.measures import bootstrap
from .data import curve_data, first_timelines, net_points_data, zone_names
from .palette import label_of, styles_of, words_of
from .plots import plot_curves, plot_net_points
from .timeline_plot import plot_timeline

COLUMNS = {
    "net_points": ("net points", 1.0, 1),
    "accuracy": ("accuracy [%]", 100.0, 1),
    "hours": ("hours", 1.0, 1),
    "gigabytes": ("GB", 1.0, 1),
    "kilowatt_hours": ("kWh", 1.0, 2),
    "kilograms": ("kg CO2e", 1.0, 2),
    "wasted_share": ("wasted [%]", 100.0, 0),
}
"""Heading, factor and decimals of the table's columns."""

SERVING_COLUMNS = {
    "net_points": ("net points", 1.0, 1),
    "right_share": ("right [%]", 100.0, 1),
    "latency_ms": ("latency [ms]", 1.0, 0),
    "dropped_share": ("dropped [%]", 100.0, 1),
    "gigabytes": ("GB", 1.0, 0),
    "kilograms": ("kg CO2e", 1.0, 2),
}
"""The same of worlds of serving."""

LEAK_COLUMNS = {
    "mia_auc": ("membership [AUC]", 1.0, 2),
    "mia_auc_sums": ("of sums [AUC]", 1.0, 2),
    "reconstruction": ("local model", 1.0, 2),
    "aia_gain": ("attribute [points]", 100.0, 1),
    "mia_auc_charged": ("charged [AUC]", 1.0, 3),
}
"""The same of what an eavesdropper found, shown where somebody listened, or was charged for it."""

REGRET_COLUMNS = {
    "regret_points": ("dynamic regret [points]", 1.0, 1),
    "regret_limit": ("at most", 1.0, 1),
    "own_regret": ("own regret", 1.0, 1),
    "regret_bound": ("its bound", 1.0, 1),
}
"""The same of regrets, shown in worlds that serve."""

SPENT = "rounds spent"
"""Heading of the column with the rounds of training played to tune or train a scheduler."""

CURVES = {"hours": "accuracy_time", "kilograms": "accuracy_co2e"}
"""Curves of the report: the cost that they run along, and the name of their files."""


def verdict(result: EvaluationResult) -> str:
    """One line that says who is best, and plainly so if a handcrafted scheduler beats the learned one."""
    learned, rival = result.best("learned"), result.rival()
    episodes = f"{len(result.values(result.ranking()[0]))} paired {result.split} episodes of {result.world}"
    if learned is None or rival is None:
        best = learned or rival or result.ranking()[0]
        return f"Best scheduler on {episodes}: {best}."
    row = result.comparison().set_index("scheduler").loc[learned]
    points = f"{abs(row['difference']):.2f} net points on average"
    interval = f"95% interval {row['difference_low']:+.2f} to {row['difference_high']:+.2f}"
    wins = f"ahead in {row['share_won']:.0%} of the episodes"
    if row["difference_low"] > 0:
        text = f"The learned scheduler {learned} beats the handcrafted rival, {rival}, by {points} "
        text += f"({interval}; "
    elif row["difference_high"] < 0:
        text = f"A handcrafted scheduler, {rival}, beats the learned one, {learned}, by {points} "
        text += f"(learned minus handcrafted: {interval}; "
    else:
        better, worse = (learned, rival) if row["difference"] > 0 else (rival, learned)
        text = f"No clear winner between learned and handcrafted: {better} is {points} ahead of {worse} "
        text += f"({learned} minus {rival}: {interval}, which includes 0; "
    return text + f"{learned} is {wins}) on {episodes}."


def columns_of(result: EvaluationResult) -> dict[str, tuple[str, float, int]]:
    """The table's columns: those of its class of worlds, regrets, and what an eavesdropper has found."""
    regrets = {name: REGRET_COLUMNS[name] for name in result.regrets}
    if result.serves:
        regrets["regret_points"] = ("regret [points]", 1.0, 1)
    return (
        (SERVING_COLUMNS if result.serves else COLUMNS)
        | regrets
        | {name: LEAK_COLUMNS[name] for name in result.leaks}
    )


def cell(result: EvaluationResult, name: str, metric: str) -> str:
    """Interquartile mean and interval of one metric, as text; "-" where the scheduler has none."""
    _, factor, decimals = columns_of(result)[metric]
    values = result.values(name, metric)
    if np.isnan(values).all():
        return "-"
    value, low, high = (factor * part for part in bootstrap(values))
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def rounds_spent(result: EvaluationResult, name: str) -> str:
    """Rounds of training played to tune or train a scheduler, as text; "-" if unknown."""
    rounds = result.fact(name, "rounds_spent")
    return f"{rounds:,.0f}" if math.isfinite(rounds) else "-"


_LONGEST = 4000
"""Letters of a line."""


def rich_table(result: EvaluationResult) -> Table:
    """The table for a terminal, best first; the learned one bold, who sees the future dim."""
    count = len(result.values(result.ranking()[0]))
    table = Table(
        title=escape(printable(f"{result.world}, {result.split} split, {count} paired episodes")),
        caption="interquartile mean [95% bootstrap interval]; hindsight: best known, no optimum",
    )
    table.add_column("scheduler", no_wrap=True)
    for heading, _, _ in columns_of(result).values():
        table.add_column(heading.replace("[", r"\["), justify="right")
    table.add_column(SPENT, justify="right")
    for name in result.ranking():
        style = {"learned": "bold green", "ceiling": "dim"}.get(result.kinds[name])
        cells = [cell(result, name, metric).replace("[", "\n\\[") for metric in columns_of(result)]
        table.add_row(
            escape(printable(label_of(name, result.kinds[name]))),
            *cells,
            rounds_spent(result, name),
            style=style,
        )
    return table


def print_report(result: EvaluationResult, console: Console | None = None) -> None:
    """The table and the verdict on the terminal."""
    # Piped into a file there is no width to fit: leave the intervals whole.
    console = console or Console(width=None if sys.stdout.isatty() else 132)
    console.print(rich_table(result))
    console.print(printable(verdict(result), _LONGEST), highlight=False, markup=False)


def write_report(
    result: EvaluationResult, out: Path | str, zones: tuple[str, ...] = (), command: str = ""
) -> Path:
    """Write `evaluation.csv`, `curves.csv`, `report.md` and its PNG plots into a folder.

    Beside every plot of schedulers lies a CSV file of the same name with the numbers that it shows.

    Args:
        result: the evaluation.
        out: the folder; made if it is not there.
        zones: names of the grid zones, if not those of the result.
        command: what made the evaluation, for the page's last line.

    Returns:
        The path of `report.md`.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(result.episodes, folder / "evaluation.csv")
    _write_table(result.curves, folder / "curves.csv")
    styles, title = styles_of(result), f"{result.world}, {result.split}"
    earned = net_points_data(result)
    _write_table(earned, folder / "net_points.csv")
    plot_net_points(earned, styles, title, folder / "net_points.png")
    for along, name in CURVES.items():
        curve = curve_data(result, along)
        _write_table(curve, folder / f"{name}.csv")
        plot_curves(curve, styles, title, folder / f"{name}.png", words_of(result).accuracy)
    drawn = first_timelines(result)
    for name in drawn:
        path = folder / f"timeline_{slug(name)}.png"
        places = zones or tuple(zone_names(result))
        plot_timeline(result.timelines[name], result.world, path, places, words_of(result))
    page = folder / "report.md"
    write_text(page, _markdown(result, drawn, command))
    return page


def _write_table(table: pd.DataFrame, path: Path) -> None:
    write_file(path, lambda draft: table.to_csv(draft, index=False))


def _markdown(result: EvaluationResult, drawn: list[str], command: str) -> str:
    lines = [
        _escaped(verdict(result)),
        "",
        f"# {_escaped(result.world)}: schedulers on the {result.split} split",
        "",
        *_table(result),
    ]
    lines += [
        "",
        "Interquartile mean over the episodes with 95% bootstrap interval, best first.",
        words_of(result).columns,
        "*Hindsight*: sees the future,",
        "for comparison; the best known, neither an optimum nor a method. *Rounds spent*:",
        "rounds of training played to tune or train the scheduler, `-` if unknown.",
        "",
        "![net points](net_points.png)",
        "",
        "![accuracy against time](accuracy_time.png)",
        "",
        "![accuracy against emissions](accuracy_co2e.png)",
        "",
        "## Against the handcrafted rival, episode by episode",
        "",
        "The rival is the handcrafted scheduler that did best on val when it was tuned; where none was",
        "tuned, the best of these episodes.",
        "",
        *_comparison(result),
    ]
    for name in drawn:
        lines += ["", f"## One episode of {_escaped(name)}", "", f"![timeline](timeline_{slug(name)}.png)"]
    if command:
        lines += ["", f"Made by `{printable(command.replace('`', ''), _LONGEST)}`."]
    return "\n".join(lines) + "\n"


def _table(result: EvaluationResult) -> list[str]:
    columns = columns_of(result)
    headings = [*(heading for heading, _, _ in columns.values()), SPENT]
    rows = [f"| scheduler | {' | '.join(headings)} |", "|---|" + "---:|" * len(headings)]
    for name in result.ranking():
        label = _escaped(label_of(name, result.kinds[name]))
        label = f"**{label}**" if result.kinds[name] == "learned" else label
        cells = [*(cell(result, name, metric) for metric in columns), rounds_spent(result, name)]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    return rows


def _comparison(result: EvaluationResult) -> list[str]:
    comparison = result.comparison()
    if comparison.empty:
        return ["No handcrafted scheduler was evaluated."]
    rows = ["| scheduler | mean difference in net points | episodes won |", "|---|---:|---:|"]
    for row in comparison.to_dict("records"):
        label = _escaped(label_of(row["scheduler"], row["kind"]))
        if row["scheduler"] == row["rival"]:
            rows.append(f"| {label} | the yardstick | |")
            continue
        difference = f"{row['difference']:+.2f} [{row['difference_low']:+.2f}, {row['difference_high']:+.2f}]"
        won = f"{row['share_won']:.0%} [{row['share_won_low']:.0%}, {row['share_won_high']:.0%}]"
        rows.append(f"| {label} | {difference} | {won} |")
    return rows


def _escaped(name: str) -> str:
    """A name as Markdown shows it, whatever is in it."""
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", printable(name, _LONGEST))
