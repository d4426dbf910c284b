"""The comparison of benchmarks/silos.py: on made-up files, and on the published ones where they are at hand.

`FRUGALFL_HEART_DISEASE` and `FRUGALFL_TCGA_BRCA` name the folders of the real tables.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import frugalfl
from frugalfl.fl_core.data import load_dataset

SCRIPT = Path(frugalfl.__file__).parent / "benchmarks" / "silos.py"
SPREAD = 0.06  # of FLamby's own figures from seed to seed


@pytest.fixture(scope="module")
def silos():
    if not SCRIPT.is_file():
        pytest.skip("benchmarks are not installed")
    spec = importlib.util.spec_from_file_location("silos", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["silos"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["synthetic-hospitals", "synthetic-survival"])
def test_silos_learn_more_together_than_the_smallest_alone(silos, name):
    study = replace(silos.STUDIES[name], rounds=5, steps=50)
    data = load_dataset({"kind": "synthetic-hospitals", **study.dataset})
    figures = silos.compare(study, data, 2).set_index("training")["test"]
    assert list(figures.index) == ["pooled", "FedAvg", "FedAdam", *(f"local {silo}" for silo in range(4))]
    assert figures["FedAvg"] > 0.65 and figures["FedAvg"] > figures["local 2"] + 0.05
    assert figures["pooled"] == pytest.approx(figures["FedAvg"], abs=0.06)


@pytest.mark.parametrize(
    ("name", "variable"), [("heart-disease", "FRUGALFL_HEART_DISEASE"), ("tcga-brca", "FRUGALFL_TCGA_BRCA")]
)
def test_published_figures_are_met_where_the_tables_are(silos, name, variable):
    if variable not in os.environ:
        pytest.skip(f"{variable} names no folder with the published table")
    study = silos.STUDIES[name]
    data = load_dataset({"kind": name, "path": os.environ[variable], **study.dataset})
    table = silos.compare(study, data, 5).set_index("training").dropna()
    off = (table["test"] - table["FLamby"]).abs()
    assert (off[["pooled", "FedAvg"]] < SPREAD).all(), table.to_string()
