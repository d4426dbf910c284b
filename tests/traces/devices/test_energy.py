"""The energy leaderboard's JSON: points come back exactly, between them a power law."""

from __future__ import annotations

import json

import numpy as np
import pytest

from frugalfl.traces.devices import profile_of, read_energy
from frugalfl.traces.testing import damaged, refusal

POINTS = {8: (7.99, 177.0), 64: (63.9, 55.0), 512: (500.5, 28.0)}


def llm(seqs=8, model="meta-llama/Llama-3.1-8B-Instruct", gpu="H100", gpus=1, **more):
    batch, joules = POINTS[seqs]
    return {
        "activated_params_billions": 8.0,
        "architecture": "Dense Transformer",
        "avg_batch_size": batch,
        "avg_output_len": 400.0,
        "avg_power_watts": 450.0,
        "data_parallel": 1,
        "energy_per_request_joules": joules,
        "energy_per_token_joules": joules / 400.0,
        "expert_parallel": 1,
        "gpu_model": gpu,
        "max_num_batched_tokens": None,
        "max_num_seqs": seqs,
        "median_itl_ms": 10.0,
        "model_id": model,
        "num_gpus": gpus,
        "tensor_parallel": gpus,
        "total_params_billions": 8.0,
        **more,
    }


def image(batch=1, joules=630.5):
    return {
        "avg_power_watts": 567.7,
        "batch_latency_s": 1.25,
        "batch_size": batch,
        "energy_per_image_joules": joules,
        "gpu_model": "B200",
        "model_id": "stabilityai/stable-diffusion-3.5-medium",
        "num_gpus": 1,
        "ring_degree": 1,
        "ulysses_degree": 1,
    }


@pytest.fixture
def written(tmp_path):
    def write(*rows):
        path = tmp_path / "task.json"
        path.write_text(json.dumps({"configurations": rows, "task": "lm-arena-chat"}, indent=2))
        return path

    return write


def test_energy_is_that_of_the_file_at_its_points_and_falls_between_them(written):
    (profile,) = read_energy(written(llm(512), llm(8), llm(64)))
    assert profile.batch.tolist() == [7.99, 63.9, 500.5]
    assert profile.joules(profile.batch).tolist() == [177.0, 55.0, 28.0]
    assert profile.latency(profile.batch).tolist() == [4000.0] * 3
    dense = profile.joules(np.geomspace(7.99, 500.5, 200))
    assert (np.diff(dense) < 0).all()
    middle = profile.joules(np.sqrt(7.99 * 63.9))
    assert middle == pytest.approx(np.sqrt(177.0 * 55.0))


def test_energy_beyond_the_points(written):
    (profile,) = read_energy(written(llm(8), llm(64)))
    slope = np.log(55.0 / 177.0) / np.log(63.9 / 7.99)
    assert profile.joules(1.0) == pytest.approx(177.0 * (1.0 / 7.99) ** slope)
    assert profile.joules(1e9) == 55.0
    (alone,) = read_energy(written(llm(8)))
    assert alone.joules(7.99 / 4.0) == pytest.approx(2.0 * 177.0)
    assert alone.latency(1.0) == 4000.0


def test_models_servers_and_layouts_are_told_apart(written):
    rows = (
        llm(8), llm(8, gpu="B200"), llm(8, gpus=2), llm(8, gpus=2, tensor_parallel=1, data_parallel=2),
        llm(8, model="Qwen/Qwen3-14B"), image(), image(16, 493.5),
    )  # fmt: skip
    profiles = read_energy(written(*rows))
    assert len(profiles) == 6
    assert profiles[-1].joules_per_request.tolist() == [630.5, 493.5]
    assert profiles[-1].latency_ms.tolist() == [1250.0, 1250.0]
    assert np.isnan(profiles[-1].billion_parameters)
    assert profile_of(profiles, "Qwen3-14B").model == "Qwen/Qwen3-14B"
    assert profile_of(profiles, "Llama-3.1-8B-Instruct", "B200").gpu == "B200"
    assert profile_of(profiles, "meta-llama/Llama-3.1-8B-Instruct", num_gpus=2).num_gpus == 2
    with pytest.raises(ValueError, match=r"^energy: Qwen3-14B on 8 H100 was not measured, expected one of"):
        profile_of(profiles, "Qwen3-14B", "H100", 8)


def test_of_two_measurements_the_frugal_one_counts(written):
    (profile,) = read_energy(written(llm(8), llm(8, energy_per_request_joules=90.0, avg_power_watts=7.0)))
    assert profile.joules_per_request.tolist() == [90.0]
    assert profile.watts.tolist() == [7.0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (llm(energy_per_request_joules=-1), "energy_per_request_joules is -1, expected a number from"),
        (llm(avg_batch_size="8"), "avg_batch_size is '8', expected a number from"),
        (llm(num_gpus=1.5), "num_gpus is 1.5, expected a whole number"),
        (llm(model_id="a\x1b[31m"), "model_id is 'a\\x1b[31m', expected a name"),
        ({"gpu_model": "H100"}, "no energy_per_request_joules, expected it or one of energy_per_image"),
        (3, "3, expected a measurement"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_its_line(written, row, said):
    path = written(llm(8), row)
    with pytest.raises(ValueError, match=r"task\.json:\d+: ") as caught:
        read_energy(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"configurations": []}', '{"configurations": {"a": 1}}', ""]
)
def test_other_documents_are_refused(tmp_path, content):
    (tmp_path / "f.json").write_text(content)
    assert refusal(read_energy, tmp_path / "f.json") is not None


def test_damaged_files_end_in_one_line(written):
    content, rng = written(llm(8), llm(64), image()).read_bytes(), np.random.default_rng(0)
    path = written(llm(8))
    for _ in range(150):
        path.write_bytes(damaged(content, rng))
        refusal(read_energy, path)
