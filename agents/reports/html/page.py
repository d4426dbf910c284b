"""The HTML page of an evaluation: template, style, scripts and data in one file that needs no network."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ....common.files import write_text
from ...evaluation import EvaluationResult
from ..palette import AVAILABLE, STATUSES, WAITING, words_of
from ..report import verdict
from .data import page_data
from .metrics import shown_metrics
from .sections import extra_sections

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
    tones = {"available": AVAILABLE, "waiting": WAITING}
    page = (
        _environment()
        .get_template("page.html")
        .render(
            title=f"{result.world}: who schedules best?",
            subtitle=f"{len(result.kinds)} schedulers, {episodes} paired {result.split} episodes",
            verdict=verdict(result),
            tones=tones | {status.name: status.tone for status in STATUSES.values()},
            words=words_of(result),
            style=Markup(_asset("page.css")),
            script=Markup("\n".join(_asset(name) for name in _SCRIPTS)),
            data=page_data(result),
            metrics=shown_metrics(result),
            sections=extra_sections(result),
            command=command,
        )
    )
    write_text(target, page)
    return target


def _environment() -> Environment:
    """Jinja with everything escaped: a scheduler may bear any name."""
    made = Environment(loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined)
    # `tojson` also escapes what could end the script element that the data stand in.
    made.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return made


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
