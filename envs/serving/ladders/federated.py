"""Rungs that a federation has trained: its model, read from the folder where `frugalfl deploy` keeps it."""

from __future__ import annotations

from pathlib import Path

from ....common.arrays import Floats32
from ....fl_core.data import Dataset
from ....fl_core.models import ModelSpec, Reader, make_model
from ....fl_core.remote import read_kept_model
from ...scenario import load_scenario
from .settings import FederatedRung, Models

_WHERE = "models: rungs"


def federated_reader(
    rung: FederatedRung, models: Models, data: Dataset, yes: tuple[int, ...]
) -> tuple[Reader, Floats32]:
    """How a federation's model answers a question, and its parameters.

    It tells labels; a question about them is answered with the probabilities of the labels that mean yes.

    Args:
        rung: where it lies.
        models: what is asked.
        data: whose rows.
        yes: labels for which the answer is yes; none = the label itself is asked for.

    Raises:
        ValueError: one line naming the folder and what is wrong with it.
    """
    folder = Path(rung.folder).expanduser()
    kept = read_kept_model(folder, _WHERE)
    where = f"{_WHERE}: {folder}"
    try:
        scenario = load_scenario(kept.scenario)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if scenario.dataset != models.dataset:
        raise ValueError(
            f"{where}: trained on {scenario.dataset!r}, expected {models.dataset!r} as models: dataset"
        )
    net = make_model(scenario.model, data)
    if not isinstance(net, ModelSpec) or net.exits or scenario.trainable != "all":
        raise ValueError(
            f"{where}: model: {scenario.model!r}, expected a dense one that was trained as a whole: "
            "softmax or mlp"
        )
    if kept.parameters.size != net.num_parameters:
        raise ValueError(
            f"{where}: {kept.parameters.size:,} parameters, expected {net.num_parameters:,} of its model "
            f"{scenario.model!r}; train it anew with this version"
        )
    shape = data.shape or (data.num_features,)
    return Reader(tuple(shape), net.widths, None, yes), kept.parameters
