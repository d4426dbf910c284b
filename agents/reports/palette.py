"""Colours and words of all figures: schedulers, what became of a client, grid zones, terms of the reward."""

from __future__ import annotations

from itertools import cycle
from typing import NamedTuple

from ...envs.contract import KIND_WORDS
from ..evaluation import CANCELLED, COMPLETED, IDLE, LOST, EvaluationResult

CEILING, OTHERS = "#666666", "#b5b5b5"
"""Of the scheduler that sees the future, and of those that are not among the best."""
LEARNED = ("#d62728", "#e377c2", "#ff9896")
HANDCRAFTED = ("#1f77b4", "#2ca02c", "#9467bd")
SHADES = (
    "#8c564b", "#17becf", "#bcbd22", "#7f7f7f", "#4e79a7", "#59a14f", "#b07aa1", "#9c755f", "#76b7b2",
    "#edc948", "#79706e", "#d4a6c8",
)  # fmt: skip
"""For the others where each can be picked out."""

TERMS = {
    "accuracy": "#4c9f70",
    "time": "#e3a857",
    "communication": "#6c8ebf",
    "emissions": "#8d6e63",
    "leakage": "#9d5c8f",
}
"""Terms of the reward; the first is gained, the others are paid, the last where it has a price."""

ZONES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a7f00", "#56b4e9", "#7b5ea7", "#555555")
"""Grid zones, told apart by the colour-blind too (Okabe and Ito 2008)."""

BLUE, RED, GREY = "#1b6ca8", "#c2571a", "#8a949c"
"""Lines of figures that show no schedulers' results."""


class Tone(NamedTuple):
    """A colour on white paper and on a dark page."""

    light: str
    dark: str


class Status(NamedTuple):
    """What became of a client in a round."""

    name: str
    text: str
    tone: Tone


AVAILABLE, WAITING = Tone("#dfe5ea", "#333d46"), Tone("#8593a0", "#6b7883")
STATUSES = {
    COMPLETED: Status("completed", "trained, update arrived", Tone("#2f8f5b", "#45b478")),
    LOST: Status("lost", "trained, then lost", Tone("#d1342b", "#ef5350")),
    CANCELLED: Status("cancelled", "trained, too late", Tone("#e0982e", "#e8a94a")),
}
"""By the codes of `Timeline.status`."""
STATUS_NAMES = {IDLE: "not invited"} | {code: status.name for code, status in STATUSES.items()}
"""Their names in style sheets."""


_PRICE_OF_LEAKAGE = (
    "Net points are also charged for what leaks: a price per hundredth by which *charged*, the largest\n"
    "chance so far to tell rows that clients trained on from others, is above one half."
)


class Words(NamedTuple):
    """What figures and pages call the things of a class of worlds."""

    element: str  # a row of the timeline
    accuracy: str  # of the curves
    statuses: dict[int, str]  # by the codes of `Timeline.status`, in legends
    short: tuple[str, ...]  # the same in the page's sentences, `IDLE` first
    nobody: str  # what a decision in which no element did anything was
    columns: str  # how to read the table


TRAINING_WORDS = Words(
    "client",
    "validation accuracy",
    {code: status.text for code, status in STATUSES.items()},
    ("not invited", "completed", "lost", "cancelled"),
    "waiting",
    "*Net points*: accuracy points gained on the held-out test set minus the price of hours, GB and kg\n"
    "CO2e. *Wasted*: share of the energy spent on updates that never reached the model.",
)
SERVING_WORDS = Words(
    "slot",
    "right answers so far",
    {COMPLETED: "answered", LOST: "left with its model", CANCELLED: "loading"},
    ("idle", "answering", "lost", "loading"),
    "no slot answers",
    "*Net points*: 100 x right answers over expected requests minus the price of milliseconds, GB and kg\n"
    "CO2e. *Right*, *dropped*: share of the requests. *Latency*: of an answer that somebody waits for.\n"
    "*Regret*: what the best fixed placement that was found in hindsight spares more than the placements\n"
    "did; *at most*: the same against what no fixed placement exceeds; negative where moving models paid.",
)


def words_of(result: EvaluationResult) -> Words:
    """The words of a result's class of worlds, and of what is charged there."""
    if "points_leakage" in result.episodes:
        return TRAINING_WORDS._replace(columns=f"{TRAINING_WORDS.columns}\n{_PRICE_OF_LEAKAGE}")
    return SERVING_WORDS if result.serves else TRAINING_WORDS


def terms_of(result: EvaluationResult) -> dict[str, str]:
    """Colours of the terms of the reward that a result has; the first is gained, the others are paid."""
    return {
        term: colour
        for term, colour in TERMS.items()
        if term == "accuracy" or f"points_{term}" in result.episodes
    }


class Style(NamedTuple):
    """How a scheduler is drawn."""

    label: str  # its name, with a mark for what is not handcrafted
    kind: str
    colour: str  # a grey for those that are not among the best
    shade: str  # one of its own
    prominent: bool  # whether it is among the best, or not handcrafted

    @property
    def dash(self) -> str:
        """Matplotlib's line style: what sees the future is dashed."""
        return "--" if self.kind == "ceiling" else "-"


def styles_of(result: EvaluationResult) -> dict[str, Style]:
    """Styles by scheduler, best first.

    Learned ones are red, what sees the future dark, the three best handcrafted blue, green, violet, the
    rest grey.
    """
    learned, handcrafted, shades = iter(LEARNED), iter(HANDCRAFTED), cycle(SHADES)
    styles = {}
    for name in result.ranking():
        kind = result.kinds[name]
        if kind == "ceiling":
            colour = CEILING
        elif kind == "learned":
            colour = next(learned, LEARNED[-1])
        else:
            colour = next(handcrafted, OTHERS)
        prominent = colour != OTHERS
        shade = colour if prominent else next(shades)
        styles[name] = Style(label_of(name, kind), kind, colour, shade, prominent)
    return styles


def label_of(name: str, kind: str) -> str:
    """The name of a scheduler, with a mark for what is not handcrafted."""
    return name if kind == "handcrafted" or kind in name else f"{name} ({KIND_WORDS[kind]})"


def zone_colour(zone: int) -> str:
    """Colour of a grid zone by its index."""
    return ZONES[zone % len(ZONES)]
