"""A nominal ladder read from a file of the energy leaderboard: exact at its points."""

import json

import numpy as np
import pytest
from small_serving import SMALL

from frugalfl.envs.serving import PROFILES, ServingPlan, ServingWorld, load_serving

POINTS = {"lab/Small-8B": {8.0: 177.0, 64.0: 55.0, 512.0: 28.0}, "lab/Large-70B": {8.0: 1573.0, 256.0: 175.0}}


@pytest.fixture
def path(tmp_path):
    def row(model, batch, joules, **more):
        size = float(model.rpartition("-")[2][:-1])
        usual = {"avg_output_len": 400.0, "avg_power_watts": 450.0, "median_itl_ms": 10.0, "num_gpus": 1}
        names = {"model_id": model, "gpu_model": "H100", "total_params_billions": size}
        return {"avg_batch_size": batch, "energy_per_request_joules": joules, **usual, **names, **more}

    rows = [row(model, batch, joules) for model, points in POINTS.items() for batch, joules in points.items()]
    file = tmp_path / "task.json"
    file.write_text(json.dumps({"task": "chat", "configurations": rows}, indent=1))
    return str(file)


def test_joules_are_the_measured_ones_at_every_point(path):
    profile = PROFILES.make({"kind": "measured", "path": path, "models": ["Small-8B", "Large-70B"]})
    for rung, points in enumerate(POINTS.values()):
        for batch, joules in points.items():
            found = profile.hardware["hub"].joules_at(np.array(batch))[rung]
            assert found == pytest.approx(joules, rel=1e-12)
    between = profile.hardware["gpu"].joules_at(np.array(np.sqrt(8.0 * 64.0)))[0]
    assert between == pytest.approx(np.sqrt(177.0 * 55.0), rel=1e-12)
    assert profile.gigabytes == (16.0, 140.0) and profile.hardware["hub"].ms == (4000.0, 4000.0)


def test_a_world_is_charged_by_it(path):
    ladder = {"kind": "measured", "path": path, "models": ["Small-8B", "Large-70B"], "gigabytes": [0.5, 2.0]}
    models = {**SMALL["models"], "rungs": [{"pool": 2}, {}]}
    gpus = [group for group in SMALL["machines"] if group["hardware"] == "gpu"]
    world = ServingWorld(
        load_serving({**SMALL, "machines": gpus, "models": models}, profile=ladder), 1, "val"
    )
    world.reset(np.ones(1, dtype=bool), np.arange(1))
    outcome = world.step(ServingPlan.idle(1, 2, 4)).outcome
    # All answers are the hub's, of the last rung: between its joules at the largest and the smallest batch.
    assert 175.0 <= outcome.hub_j[0] / outcome.hub[0] <= 1573.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": ["Tiny-1B"]}, "Tiny-1B on any number of GPUs was not measured"),
        ({"gpu": "B200"}, "was not measured, expected one of"),
        ({"path": "nowhere.json"}, "nowhere.json"),
        ({"gigabytes": [1.0]}, "gigabytes: 1 numbers, expected 2 as models"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(path, changes, said):
    spec = {"kind": "measured", "path": path, "models": ["Small-8B", "Large-70B"], **changes}
    with pytest.raises(ValueError, match=said) as error:
        PROFILES.make(spec)
    assert "\n" not in str(error.value)
