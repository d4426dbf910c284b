"""A model card as a page."""

from __future__ import annotations

from typing import TypedDict, cast

from ...envs.contract import KIND_WORDS
from .card import Card

_FIGURES = {
    "net_points": ("net points", 1.0, 1),
    "accuracy": ("accuracy [%]", 100.0, 1),
    "hours": ("hours", 1.0, 1),
    "gigabytes": ("GB", 1.0, 1),
    "kilograms": ("kg CO2e", 1.0, 2),
}


class _Judged(TypedDict):
    """One row of the training curve."""

    rounds_trained: int
    net_points: float | None
    val_net_points: float | None


def card_page(card: Card) -> str:
    """The card as Markdown."""
    git = f" (commit `{card.git}`)" if card.git else ""
    lines = [
        f"# {card.name}",
        "",
        f"A scheduler for `{card.env}`, learned by {card.algo} in {card.rounds_trained:,} rounds with seed",
        f"{card.settings.get('seed')}, frugalfl {card.version}{git}. `weights.safetensors` holds numbers",
        f"only; the weights fit any number of {'slots' if 'slots' in card.features else 'clients'}.",
        "",
        "```python",
        "import frugalfl",
        "",
        f'scheduler = frugalfl.load_scheduler("{card.name}")',
        "```",
        "",
        f"    frugalfl evaluate --env {card.scenario} --schedulers {card.name},all",
        "",
    ]
    if card.command:
        lines += ["Trained by", "", f"    {card.command}", ""]
    score = card.validation.get("net_points")
    if isinstance(score, int | float):
        lines += [f"Chosen for {score:.1f} net points on the `val` episodes; plans by `{card.decision}`.", ""]
    return "\n".join(lines + _test(card) + _curve(card)) + "\n"


def _test(card: Card) -> list[str]:
    table = cast("list[dict[str, object]]", card.test.get("table") or [])
    if not table:
        return []
    lines = [
        f"## On {card.test.get('episodes')} held-out `test` episodes",
        "",
        "| scheduler | " + " | ".join(heading for heading, _, _ in _FIGURES.values()) + " |",
        "|---|" + "---:|" * len(_FIGURES),
    ]
    for row in table:
        cells = [_cell(cast("list[float]", row[metric]), *figure[1:]) for metric, figure in _FIGURES.items()]
        label = f"**{row['scheduler']}**" if row["kind"] == "learned" else row["scheduler"]
        lines.append(f"| {label} ({KIND_WORDS[str(row['kind'])]}) | " + " | ".join(cells) + " |")
    lines += ["", "Interquartile mean [95% bootstrap interval], best first.", ""]
    note = card.test.get("note")
    return [*lines, f"{note}.", ""] if note else lines


def _cell(interval: list[float], factor: float, decimals: int) -> str:
    value, low, high = (factor * part for part in interval)
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def _curve(card: Card) -> list[str]:
    curve = cast("list[_Judged]", card.curve)
    judged = [row for row in curve if row.get("val_net_points") is not None]
    if not judged:
        return []
    lines = ["## Training curve", "", "| rounds | net points in training | on `val` |", "|---:|---:|---:|"]
    for row in judged:
        trained = row.get("net_points")
        first = "" if trained is None else f"{trained:.1f}"
        lines.append(f"| {row['rounds_trained']:,} | {first} | {row['val_net_points']:.1f} |")
    return [*lines, ""]
