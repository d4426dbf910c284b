"""Figures of an evaluation as PNG, each an Agg canvas of its own: pyplot's global state is not touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ...common.files import write_file
from ...common.spelling import plain_text
from .palette import OTHERS, TERMS, TRAINING_WORDS, Style

COST_LABELS = {"hours": "time [h]", "kilograms": "emissions [kg CO2e]", "gigabytes": "traffic [GB]"}
_TERM_LABELS = {"accuracy": "accuracy gained"}


def new_figure(width: float, height: float) -> Figure:
    """A figure in inches with its own Agg canvas."""
    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all; its folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, lambda draft: figure.savefig(draft))


def plot_curves(
    data: pd.DataFrame,
    styles: Mapping[str, Style],
    title: str,
    path: Path,
    accuracy: str = TRAINING_WORDS.accuracy,
) -> None:
    """Mean accuracy against a cost with 95% bands; a dot marks the mean end of the run.

    Args:
        data: see `curve_data`.
        styles: see `styles_of`.
        title: begins the title.
        path: of the picture.
        accuracy: what its class of worlds calls it.
    """
    figure = new_figure(8.2, 4.8)
    axes = figure.add_subplot()
    along = str(data.columns[1])
    for name in reversed(list(styles)):
        rows, style = data[data["scheduler"] == name], styles[name]
        grid, middle = rows[along].to_numpy(), 100 * rows["accuracy"].to_numpy()
        width, depth = (2.0, 3) if style.prominent else (1.0, 1)
        axes.plot(grid, middle, style.dash, color=style.colour, lw=width, zorder=depth)
        if style.prominent:
            band = (100 * rows["accuracy_low"], 100 * rows["accuracy_high"])
            axes.fill_between(grid, *band, color=style.colour, alpha=0.15, lw=0, zorder=2)
        end = float(rows["end"].iloc[0])
        size = 6 if style.prominent else 4
        axes.plot(end, np.interp(end, grid, middle), "o", color=style.colour, ms=size, zorder=4)
    axes.set(xlabel=COST_LABELS[along], ylabel=f"{accuracy} [%]", xlim=(0, data[along].max()))
    axes.set_title(plain_text(f"{title}: accuracy against {COST_LABELS[along].split(' [')[0]}"), loc="left")
    axes.legend(handles=_curve_legend(styles), loc="lower right", fontsize=8, framealpha=0.9)
    axes.grid(alpha=0.25)
    save_figure(figure, path)


def plot_net_points(data: pd.DataFrame, styles: Mapping[str, Style], title: str, path: Path) -> None:
    """Net points with intervals beside the terms they are made of, best on top.

    Args:
        data: see `net_points_data`.
        styles: see `styles_of`.
        title: begins the title.
        path: of the picture.
    """
    figure = new_figure(10.5, 1.6 + 0.36 * len(data))
    left, right = figure.subplots(1, 2, sharey=True)
    net, low, high = (data[f"net_points{end}"].to_numpy() for end in ("", "_low", "_high"))
    places = np.arange(len(data))
    colours = [styles[name].colour for name in data["scheduler"]]
    left.barh(places, net, color=colours, height=0.62, alpha=0.85)
    reach = [np.maximum(net - low, 0.0), np.maximum(high - net, 0.0)]
    left.errorbar(net, places, xerr=reach, fmt="none", ecolor="black", capsize=3, lw=1.1)
    _draw_terms(right, data)
    left.set_yticks(places, [plain_text(styles[name].label) for name in data["scheduler"]])
    left.invert_yaxis()
    left.set(xlabel="net points (interquartile mean, 95% interval)")
    right.set(xlabel="accuracy points, mean of the episodes (line: net)")
    handles = [
        Patch(color=colour, label=_TERM_LABELS.get(name, name)) for name, colour in _terms(data).items()
    ]
    figure.legend(handles=handles, fontsize=8, loc="outside lower right", ncols=len(handles), frameon=False)
    text = plain_text(f"{title}: what each scheduler earns and what it pays for")
    figure.suptitle(text, x=0.01, ha="left")
    for axes in (left, right):
        axes.axvline(0, color="black", lw=0.8)
        axes.grid(axis="x", alpha=0.25)
    save_figure(figure, path)


def _terms(data: pd.DataFrame) -> dict[str, str]:
    """Colours of the terms that the data have."""
    return {term: colour for term, colour in TERMS.items() if term in data}


def _draw_terms(axes: Axes, data: pd.DataFrame) -> None:
    places, paid = np.arange(len(data)), np.zeros(len(data))
    for term, colour in _terms(data).items():
        if term == "accuracy":
            axes.barh(places, data[term], color=colour, height=0.62)
            continue
        axes.barh(places, data[term], left=paid, color=colour, height=0.62)
        paid = paid + data[term].to_numpy()
    net = data["accuracy"] + paid
    axes.vlines(net, places - 0.31, places + 0.31, color="black", lw=1.6)


def _curve_legend(styles: Mapping[str, Style]) -> list[Line2D]:
    shown = [style for style in styles.values() if style.prominent]
    handles = [
        Line2D([], [], color=style.colour, lw=2, ls=style.dash, label=plain_text(style.label))
        for style in shown
    ]
    others = len(styles) - len(shown)
    if others:
        handles.append(Line2D([], [], color=OTHERS, lw=1, label=f"{others} other handcrafted"))
    handles.append(Line2D([], [], color="black", marker="o", ls="", ms=5, label="mean end of the run"))
    return handles
