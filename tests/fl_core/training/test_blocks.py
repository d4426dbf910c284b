"""Blocks of vectors: however many sums are under way at once, every one of them stays the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalfl.fl_core.data import Dataset
from frugalfl.fl_core.models import ModelSpec
from frugalfl.fl_core.training import NumpyTrainer, make_trainer

# What is asked of the processor's features, before anything is compiled, is how many rows a block has.
_DIGESTS = """
import sys
from llvmlite.binding import FeatureMap
FeatureMap.get = lambda features, name: sys.argv[1] == "8"
import hashlib
import numpy as np
import pytest
from frugalfl.fl_core.data import Dataset
from frugalfl.fl_core.models import ModelSpec
from frugalfl.fl_core.training import LocalJobs, LocalTraining, blocks, make_trainer
assert blocks.ROWS == int(sys.argv[1])
for widths, batch in (((21, 18, 3), 10), ((5, 20), 7)):
    rng = np.random.default_rng(0)
    rows = [part for n in (50, 33, 7) for part in (rng.normal(size=(n, widths[0])), rng.integers(0, 3, n))]
    model = ModelSpec(widths)
    start = rng.normal(size=(2, model.num_parameters)).astype(np.float32)
    minibatches = rng.integers(0, 50, (9, batch)).astype(np.int32)
    trainer = make_trainer("fused", Dataset("random", *rows, num_classes=widths[-1]), model)
    jobs = LocalJobs(start, np.array([0, 1, 0]), np.array([0, 4, 5, 9]), minibatches)
    found = trainer.run(jobs, LocalTraining(batch_size=batch))
    for array in (found.delta, found.loss, *trainer.evaluate(start, "val")):
        print(hashlib.sha256(np.ascontiguousarray(array)).hexdigest())
"""


def digests(rows, folder):
    """Of what is trained and measured with blocks of so many rows, compiled for them alone."""
    own = {**os.environ, "NUMBA_CACHE_DIR": str(folder / str(rows))}
    command = [sys.executable, "-c", _DIGESTS, str(rows)]
    return subprocess.run(command, env=own, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.slow
def test_no_sum_depends_on_the_size_of_a_block(tmp_path):
    four = digests(4, tmp_path)
    assert len(set(four)) == len(four) == 8
    assert digests(8, tmp_path) == four


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([2, 15, 16, 17, 40]), st.integers(0, 999))
def test_the_first_highest_is_what_argmax_says(classes, seed):
    """Few small whole numbers as weights, so that logits are often equal."""
    rng = np.random.default_rng(seed)
    parts = [part for n in (9, 70, 3) for part in (rng.integers(0, 2, (n, 2)), rng.integers(0, classes, n))]
    data, model = Dataset("ties", *parts, num_classes=classes), ModelSpec((2, classes))
    params = rng.integers(-1, 2, (2, model.num_parameters)).astype(np.float32)
    fused, plain = make_trainer("fused", data, model), NumpyTrainer(data, model)
    assert np.array_equal(fused.evaluate(params, "val")[0], plain.evaluate(params, "val")[0])
