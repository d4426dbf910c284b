"""Puts the page together: template, style, script and data in one file that needs no network."""

from __future__ import annotations

import html
import json
from importlib import resources
from pathlib import Path
from string import Template

from ...evaluation import EvaluationResult
from ..report import verdict
from .data import METRICS, page_data

_SCRIPTS = ("drawing.js", "charts.js", "timeline.js", "main.js")


def write_html(result: EvaluationResult, path: Path | str, command: str = "") -> Path:
    """Write an evaluation as one HTML page: table, plots, paired differences and explorable episodes.

    Everything is inside the file; its content security policy forbids the browser to load anything else.

    Args:
        result: the evaluation.
        path: of the page; its folder is made if it is not there.
        command: what made the evaluation, for the page's last line.

    Returns:
        The path.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    episodes = len(result.values(result.ranking()[0]))
    page = Template(_asset("page.html")).substitute(
        title=html.escape(f"{result.world}: who schedules best?"),
        subtitle=html.escape(f"{len(result.kinds)} schedulers, {episodes} paired {result.split} episodes"),
        verdict=html.escape(verdict(result)),
        style=_asset("page.css"),
        script="\n".join(_asset(name) for name in _SCRIPTS),
        data=_embedded(page_data(result)),
        definitions=_definitions(result),
        command=f"Made by <code>{html.escape(command)}</code>." if command else "",
    )
    target.write_text(page, encoding="utf-8")
    return target


def _embedded(data: dict) -> str:
    """JSON that cannot end the script element it stands in, whatever a scheduler is called."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _definitions(result: EvaluationResult) -> str:
    rows = [metric for metric in METRICS if metric.key in result.episodes]
    items = "".join(f"<li><b>{html.escape(m.label)}</b>: {html.escape(m.help)}</li>" for m in rows)
    return f"<ul>{items}</ul>"


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
