"""Figures of a trained scheduler's decisions: partial dependence, waiting, habits, episodes side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from ...common.arrays import AnyArray
from ...common.files import write_file
from ...common.spelling import plain_text
from ..reports import BLUE, GREY, RED, new_figure, save_figure
from .explain import Question


def plot_counterfactuals(
    tables: Mapping[str, pd.DataFrame], questions: Sequence[Question], name: str, path: Path
) -> None:
    """One panel per question: chance to be invited with its quartiles, expected local steps beside it."""
    figure = new_figure(12.0, 6.4)
    panels = figure.subplots(2, 3).ravel()
    for axes, question in zip(panels, questions, strict=False):
        table = tables[question.name]
        axes.fill_between(
            table["value"],
            100 * table["invited_low"],
            100 * table["invited_high"],
            color=BLUE,
            alpha=0.15,
            lw=0,
        )
        axes.plot(table["value"], 100 * table["invited"], "o-", color=BLUE, ms=3.5)
        axes.set(xlabel=question.label, ylim=(0, None))
        axes.set_ylabel("invited [%]", color=BLUE)
        if question.logarithmic:
            axes.set_xscale("log")
        steps = axes.twinx()
        steps.plot(table["value"], table["local_steps"], "s--", color=RED, ms=3, lw=1)
        steps.set_ylim(0, 42)
        steps.set_ylabel("local steps if invited", color=RED)
        axes.grid(alpha=0.25)
    for axes in panels[len(questions) :]:
        axes.set_axis_off()
        axes.text(
            0.0,
            0.95,
            "One number of one available client is\nexchanged in situations that came up;\nall else stays. "
            "Line: mean, band: quartiles\nof the chance that it is invited.",
            va="top",
            fontsize=9,
        )
    figure.suptitle(f"{plain_text(name)}: whom it invites", x=0.01, ha="left")
    save_figure(figure, path)


def plot_waiting(habits: pd.DataFrame, by_carbon: pd.DataFrame, name: str, path: Path) -> None:
    """When it waits and stops: by carbon (counterfactual), by how many are available, by decision."""
    figure = new_figure(12.0, 3.6)
    first, second, third = figure.subplots(1, 3)
    for column, colour in (("waits", BLUE), ("stops", RED)):
        first.plot(by_carbon["factor"], 100 * by_carbon[column], "o-", color=colour, ms=3.5, label=column)
        _draw_share(second, habits["available"], habits[column], colour, column)
        _draw_share(third, habits["decision"], habits[column], colour, column)
    first.set(xlabel="all grids now, times what they were", ylabel="chance [%]")
    second.set(xlabel="clients available", ylabel="of the decisions [%]")
    third.set(xlabel="decision", ylabel="of the decisions [%]")
    for axes in (first, second, third):
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
        axes.grid(alpha=0.25)
    first.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{plain_text(name)}: when it waits", x=0.01, ha="left")
    save_figure(figure, path)


def plot_habits(habits: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Local steps, invitations and accuracy along the episode, one line per scheduler."""
    figure = new_figure(12.0, 3.6)
    panels = figure.subplots(1, 3)
    for axes, (column, label, factor) in zip(
        panels,
        (
            ("local_steps", "local steps of the invited", 1),
            ("invited", "clients invited", 1),
            ("accuracy", "accuracy [%]", 100),
        ),
        strict=True,
    ):
        for (name, table), colour in zip(habits.items(), (BLUE, RED, GREY), strict=False):
            trained = table[table["invited"] > 0]
            groups = trained.groupby("decision")[column]
            mean = groups.mean()[groups.count() >= 3]
            axes.plot(mean.index, factor * mean, color=colour, label=plain_text(name))
        axes.set(xlabel="decision", ylabel=label, ylim=(0, None))
        axes.grid(alpha=0.25)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle("Along the run (mean over the episodes that still train)", x=0.01, ha="left")
    save_figure(figure, path)


def side_by_side(left: Path, right: Path, path: Path) -> None:
    """Two pictures as one."""
    with Image.open(left) as first, Image.open(right) as second:
        height = max(first.height, second.height)
        both = Image.new("RGB", (first.width + second.width, height), "white")
        both.paste(first.convert("RGB"), (0, 0))
        both.paste(second.convert("RGB"), (first.width, 0))
    write_file(path, both.save)


def film(frames: Sequence[AnyArray], path: Path, frame_ms: int = 500) -> None:
    """An animated PNG of RGB images `[H, W, 3]`; every browser plays it."""
    images = [Image.fromarray(frame) for frame in frames]

    def write(draft: Path) -> None:
        images[0].save(draft, save_all=True, append_images=images[1:], duration=frame_ms, loop=0)

    write_file(path, write)


def _draw_share(axes: Axes, where: pd.Series, what: pd.Series, colour: str, label: str) -> None:
    """Share of the decisions by the value of a column, in at most twelve bins of enough decisions."""
    bins = min(12, where.nunique())
    if bins < 2:
        return
    groups = what.groupby(pd.cut(where, bins), observed=True)
    share, count = groups.mean(), groups.count()
    kept = share[count >= 5]
    axes.plot([interval.mid for interval in kept.index], 100 * kept, "o-", color=colour, ms=3.5, label=label)
