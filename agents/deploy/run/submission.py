"""Submission to a SuperLink: start the Flower app, follow its log, ask how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from .app_folder import CONNECTION, QUIET, AppFolder

_FLOWER = "import sys; sys.argv[0] = 'flwr'; from flwr.cli.app import app; app()"

Answer = subprocess.CompletedProcess[str]
RunFlower = Callable[[Sequence[str], AppFolder, bool], Answer]
"""Arguments of Flower's command line, where the app lies, whether the output is wanted."""


def run_flower(arguments: Sequence[str], written: AppFolder, capture: bool) -> Answer:
    """Run Flower's command line in a process of its own."""
    environment = {**os.environ, **QUIET, "FLWR_HOME": str(written.home)}
    command = [sys.executable, "-c", _FLOWER, *arguments]
    return subprocess.run(command, env=environment, text=True, capture_output=capture, check=False)


def start_run(written: AppFolder, flower: RunFlower = run_flower) -> str:
    """Hand the app to the SuperLink.

    Args:
        written: the app.
        flower: runs Flower's command line.

    Returns:
        The run's id.

    Raises:
        ValueError: the SuperLink does not take it; the reason in one line.
    """
    app, config = str(written.app), str(written.run_config)
    done = flower(["run", app, CONNECTION, "--run-config", config, "--format", "json"], written, True)
    answer = _json(done.stdout)
    if not answer.get("success") or not answer.get("run-id"):
        reason = answer.get("error-message") or (done.stderr or done.stdout).strip() or "no answer"
        raise ValueError(f"superlink: the run did not start: {reason}")
    return str(answer["run-id"])


def follow_run(run_id: str, written: AppFolder, flower: RunFlower = run_flower) -> None:
    """Show the run's log until it ends; Ctrl-C ends it.

    Args:
        run_id: see `start_run`.
        written: the app.
        flower: runs Flower's command line.

    Raises:
        ValueError: the run failed.
    """
    try:
        flower(["log", run_id, CONNECTION, "--stream"], written, False)
    except KeyboardInterrupt:
        flower(["stop", run_id, CONNECTION], written, True)
        raise
    # `flwr log` and `flwr run --stream` end well however the run does; only the list knows.
    done = flower(["list", CONNECTION, "--run-id", run_id, "--format", "json"], written, True)
    runs = _json(done.stdout).get("runs")
    first = runs[0] if isinstance(runs, list) and runs else {}
    status = str(first.get("status", "unknown"))
    if "completed" not in status:
        raise ValueError(
            f"run {run_id}: {status}; its log says why, and --resume goes on from the last round"
        )


def _json(text: str) -> dict[str, object]:
    """The JSON object in what a command printed; empty if there is none."""
    begin = text.find("{")
    try:
        found = json.loads(text[begin:]) if begin >= 0 else {}
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
