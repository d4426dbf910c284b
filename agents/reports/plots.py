"""Pictures of an evaluation, each an Agg canvas of its own: nothing here touches pyplot's global state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...common.arrays import AnyArray
from ..evaluation import EvaluationResult
from ..evaluation.measures import bootstrap, interquartile_mean

Colours = dict[str, str]

_CEILING, _OTHERS = "#333333", "#b5b5b5"
_LEARNED = ("#d62728", "#e377c2", "#ff9896")
_HANDCRAFTED = ("#1f77b4", "#2ca02c", "#9467bd")
_TERM_COLOURS = {
    "accuracy gained": "#4c9f70",
    "time": "#e3a857",
    "communication": "#6c8ebf",
    "emissions": "#8d6e63",
}
_AXES = {"hours": "time [h]", "kilograms": "emissions [kg CO2e]", "gigabytes": "traffic [GB]"}
_GRID = 200


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches with its own Agg canvas."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colours_of(result: EvaluationResult) -> Colours:
    """Learned ones red, the ceiling dark, the three best handcrafted blue, green, violet, the rest grey."""
    shades = {"learned": (iter(_LEARNED), _LEARNED[-1]), "ceiling": (iter(()), _CEILING)}
    handcrafted = (iter(_HANDCRAFTED), _OTHERS)
    colours = {}
    for name in result.ranking():
        rest, last = shades.get(result.kinds[name], handcrafted)
        colours[name] = next(rest, last)
    return colours


def label_of(result: EvaluationResult, name: str) -> str:
    """The name, with a mark for what is not handcrafted."""
    mark = {"learned": " (learned)", "ceiling": " (ceiling)"}.get(result.kinds[name], "")
    return name if mark.strip(" ()") in name else name + mark


def held_curves(curves: pd.DataFrame, along: str, grid: AnyArray) -> AnyArray:
    """Accuracy `[episodes, grid]` of one scheduler: each value holds until the next, the last for ever."""
    rows = []
    for _, episode in curves.groupby("episode", sort=True):
        place = np.searchsorted(episode[along].to_numpy(), grid, side="right") - 1
        rows.append(episode["accuracy"].to_numpy()[np.maximum(place, 0)])
    return np.stack(rows)


def plot_curves(result: EvaluationResult, along: str, path: Path) -> None:
    """Mean validation accuracy of the episodes against `along` (hours, kilograms, gigabytes), 95% bands.

    A dot marks where the scheduler's episodes end on average; behind it the model only rests.
    """
    figure = new_figure(8.2, 4.8)
    axes = figure.add_subplot()
    colours = colours_of(result)
    ends = result.curves.groupby(["scheduler", "episode"])[along].max().groupby("scheduler").mean()
    grid = np.linspace(0.0, max(1.05 * float(ends.max()), 1e-9), _GRID)
    for name in reversed(result.ranking()):
        held = 100 * held_curves(result.curves[result.curves["scheduler"] == name], along, grid)
        middle, colour = held.mean(axis=0), colours[name]
        plain = colour == _OTHERS
        style = "--" if result.kinds[name] == "ceiling" else "-"
        axes.plot(grid, middle, style, color=colour, lw=1.0 if plain else 2.0, zorder=1 if plain else 3)
        if not plain and len(held) > 1:
            reach = 1.96 * held.std(axis=0, ddof=1) / np.sqrt(len(held))
            axes.fill_between(grid, middle - reach, middle + reach, color=colour, alpha=0.15, lw=0, zorder=2)
        axes.plot(
            ends[name], np.interp(ends[name], grid, middle), "o", color=colour, ms=4 if plain else 6, zorder=4
        )
    axes.set(xlabel=_AXES[along], ylabel="validation accuracy [%]", xlim=(0, grid[-1]))
    axes.set_title(
        f"{result.world}, {result.split}: accuracy against {_AXES[along].split(' [')[0]}", loc="left"
    )
    axes.legend(handles=_curve_legend(result, colours), loc="lower right", fontsize=8, framealpha=0.9)
    axes.grid(alpha=0.25)
    _save(figure, path)


def plot_net_points(result: EvaluationResult, path: Path) -> None:
    """Net points with intervals beside the four terms they are made of, best on top."""
    names = result.ranking()
    figure = new_figure(10.5, 1.6 + 0.36 * len(names))
    left, right = figure.subplots(1, 2, sharey=True)
    colours, rows = colours_of(result), np.arange(len(names))
    for row, name in enumerate(names):
        net = bootstrap(result.values(name), interquartile_mean)
        left.barh(row, net.value, color=colours[name], height=0.62, alpha=0.85)
        reach = [[max(net.value - net.low, 0.0)], [max(net.high - net.value, 0.0)]]
        left.errorbar(net.value, row, xerr=reach, color="black", capsize=3, lw=1.1)
        _terms_bar(right, row, result, name)
    left.set_yticks(rows, [label_of(result, name) for name in names])
    left.invert_yaxis()
    left.set(xlabel="net points (interquartile mean, 95% interval)")
    right.set(xlabel="accuracy points, mean of the episodes (line: net)")
    handles = [Patch(color=colour, label=name) for name, colour in _TERM_COLOURS.items()]
    figure.legend(handles=handles, fontsize=8, loc="outside lower right", ncols=4, frameon=False)
    title = f"{result.world}, {result.split}: what each scheduler earns and what it pays for"
    figure.suptitle(title, x=0.01, ha="left")
    for axes in (left, right):
        axes.axvline(0, color="black", lw=0.8)
        axes.grid(axis="x", alpha=0.25)
    _save(figure, path)


def _terms_bar(axes: Axes, row: int, result: EvaluationResult, name: str) -> None:
    gain = 100 * (result.values(name, "accuracy") - result.values(name, "accuracy_start")).mean()
    axes.barh(row, gain, color=_TERM_COLOURS["accuracy gained"], height=0.62)
    paid = 0.0
    for term in ("time", "communication", "emissions"):
        cost = result.values(name, f"points_{term}").mean()
        axes.barh(row, cost, left=paid, color=_TERM_COLOURS[term], height=0.62)
        paid += cost
    axes.plot([gain + paid] * 2, [row - 0.31, row + 0.31], color="black", lw=1.6)


def _curve_legend(result: EvaluationResult, colours: Colours) -> list[Line2D]:
    shown = [name for name in result.ranking() if colours[name] != _OTHERS]
    handles = [
        Line2D(
            [],
            [],
            color=colours[name],
            lw=2,
            ls="--" if result.kinds[name] == "ceiling" else "-",
            label=label_of(result, name),
        )
        for name in shown
    ]
    others: Sequence[str] = [name for name in result.ranking() if colours[name] == _OTHERS]
    if others:
        handles.append(Line2D([], [], color=_OTHERS, lw=1, label=f"{len(others)} other handcrafted"))
    handles.append(Line2D([], [], color="black", marker="o", ls="", ms=5, label="mean end of the run"))
    return handles


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
