"""Which scenarios a live federation can carry out, and what it charges for."""

from __future__ import annotations

from ....envs.scenario import LEAKAGE, Scenario
from ....fl_core.aggregation import COMPRESSIONS


def charge_actual(scenario: Scenario) -> Scenario:
    """The scenario charged for what is really moved: the trained model's and the samples' own bytes.

    Nodes bring their own environment and make a base themselves, so there is no set-up.
    """
    moved = {"model_bytes": "actual", "sample_bytes": "actual", "setup_bytes": 0.0}
    work = scenario.workload.model_copy(update=moved)
    changes: dict[str, object] = {"workload": work}
    if scenario.pretrained is not None:
        changes["pretrained"] = scenario.pretrained.model_copy(update={"installed": True})
    return scenario.model_copy(update=changes)


def check_deployable(scenario: Scenario) -> None:
    """Refuse what no live federation does; ValueError naming the field, its value and what was expected."""
    wanted = {
        "late.kind": (scenario.late.kind, "drop"),
        "topology": (scenario.topology, "server"),
        "evaluation.personal": (scenario.evaluation.personal, "none"),
        "quadratic": (scenario.quadratic, None),
        "malicious": (scenario.malicious, None),
        "exits": (scenario.exits, None),
        "fragments.count": (scenario.fragments.count, 1),
        "mixture": (scenario.mixture, ()),
        "serving.model": (scenario.serving.model, "held"),
        "memory.labelled": (scenario.memory.labelled, 1.0),  # nodes know of labelled answers only
    }
    for name, (value, expected) in wanted.items():
        if value != expected:
            raise ValueError(f"{name}: {value!r}, expected {expected!r} in a live federation")
    if LEAKAGE in scenario.reward_terms:
        raise ValueError(
            f"preferences: price_per_auc: {scenario.preferences.price_per_auc}, expected none (0) in a live "
            "federation: what an eavesdropper learns of the nodes' rows is known to nobody who lacks them"
        )
    made = None if scenario.compression is None else COMPRESSIONS.make(scenario.compression)
    if made is not None and not made.parcel(1, scenario.upload_bits):
        raise ValueError(
            f"compression: {made.name!r}, expected one that says in a live federation how updates travel "
            "(`parcel`, `encode`, `decode`)"
        )
