"""YAML files: what could mean two things is refused with its line, and files are found beside them."""

from __future__ import annotations

import os
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from frugalfl.envs.scenario import load_scenario


@pytest.fixture
def written(tmp_path):
    """A YAML file that starts from a packaged world."""

    def write(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"base: volunteers\n{text}\n", encoding="utf-8")
        return path

    return write


REFUSED = {
    "clients: 012": "line 2: 012: expected a number without leading zeros; write 12, or 10 if octal",
    "clients: -08": "line 2: -08: expected a number without leading zeros; write -8, or '-08' in quotes",
    "clients: 3\nmax_rounds: 0_7": "line 3: 0_7: expected a number without leading zeros",
    "budgets: {hours: 1:30}": "line 2: 1:30: expected a plain number; write 90 for the number to base 60, or",
    "budgets: {hours: 1:00:00.5}": "write 3600.5 for",
    "clients: 5\nzones: 4\nclients: 6": "line 4: clients: stands in line 2 already; keep one of them",
    "hub: {share: 0.1,\n  share: 0.2}": "line 3: share: stands in line 2 already",
    "partition:\n  kind: zone\n  'kind': iid": "line 4: kind: stands in line 3 already",
    "model: " + "[" * 60 + "]" * 60: "line 2: nested more than 50 deep",
    "model: &a [*a]": "line 2: unfolds to more than",
    "a: &a [1, 1, 1, 1]\n"
    + "\n".join(
        f"x{i}: &x{i} [*a, *a, *a, *a]" if i == 0 else f"x{i}: &x{i} [" + ", ".join([f"*x{i - 1}"] * 8) + "]"
        for i in range(8)
    ): "unfolds to more than 100,000 entries",
    "model: !!python/object/apply:os.system [x]": "line 2: not a YAML document (could not determine",
    "clients: [1": "line 3: not a YAML document (",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_means_two_things_is_refused_with_its_line(written, text, message):
    path = written(text)
    with pytest.raises(ValueError) as refused:
        load_scenario(path)
    assert str(refused.value).startswith(f"scenario: {path} line ") and message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_words_and_numbers_mean_what_they_say(written):
    read = load_scenario(
        written(
            "carbon: {zones: [NO, GB, DE, ES], tz: {NO: Europe/Oslo}}\n"
            "name: 2025-01-06\nclients: 1_2\nhub: {share: 0, ephemeral: yes}\n"
            "workload: {model_bytes: 1e6, overhead_s: 0, step_s: 10.5}\nbudgets: {kilograms: ~}\n"
            "levels: {wait_s: [0, .5, .inf]}"
        )
    )
    assert read.carbon == {"zones": ["NO", "GB", "DE", "ES"], "tz": {"NO": "Europe/Oslo"}}
    assert (read.name, read.clients, read.hub.ephemeral) == ("2025-01-06", 12, True)
    assert (read.workload.model_bytes, read.budgets.kilograms) == (1e6, None)
    assert read.levels.wait_s == (0, 0.5, float("inf"))
    quoted = load_scenario(written("name: '012'\npartition: {kind: 'iid'}"))
    assert quoted.name == "012"


def test_merged_keys_are_not_twice(written):
    path = written("budgets: &b {hours: 5, gigabytes: 7}\npreferences: {price_per_gb: 1}")
    path.write_text(path.read_text() + "levels: {<<: {quorum: [1.0]}, quorum: [0.5, 1.0]}\n")
    assert load_scenario(path).levels.quorum == (0.5, 1.0)


def test_a_file_takes_the_place_of_a_generator_and_keeps_nothing_of_it(written, tmp_path):
    (tmp_path / "desks.csv").write_text("client,start,end\nann,0,3600\n")
    path = written("availability: {path: desks.csv, notice_s: 60}")
    read = load_scenario(path)
    assert dict(read.availability)["notice_s"] == 60 and "longest_h" not in read.availability
    later = load_scenario(path, availability={"path": str(tmp_path / "desks.csv")})
    assert dict(later.availability)["notice_s"] == 60


def test_other_encodings_and_no_text_at_all(written, tmp_path):
    path = written("clients: 7")
    path.write_bytes(path.read_text().encode("utf-16"))
    assert load_scenario(path).clients == 7
    for content, message in (
        (b"clients: \xff", "not a YAML document"),
        (b"", "expected a mapping of fields"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            load_scenario(path)
    with pytest.raises(ValueError, match="expected a readable YAML file"):
        load_scenario(tmp_path / "none.yaml")


def carbon_file(path: Path, hours: int = 24 * 60) -> Path:
    path.parent.mkdir(exist_ok=True)
    start = np.datetime64("2023-01-01T00:00:00")
    rows = [f"{start + np.timedelta64(hour, 'h')}Z,Z,direct,{200 + hour % 24}" for hour in range(hours)]
    path.write_text("time,zone,kind,g_per_kwh\n" + "\n".join(rows) + "\n")
    return path


def test_files_are_found_beside_the_document_from_any_folder(written, tmp_path, monkeypatch):
    lab = tmp_path / "lab"
    beside = carbon_file(lab / "ours.csv")
    (lab / "phones").mkdir()  # no name of a generator is mistaken for a folder
    path = written("zones: 1\ncarbon: [ours.csv]\navailability: phones\nname: ours.csv", "lab/mine.yaml")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    env = gym.make("frugalfl/Volunteers-v0", scenario=path, clients=6)
    env.reset(seed=0)
    assert env.unwrapped.scenario.carbon == [str(beside.resolve())]
    assert (env.unwrapped.scenario.availability, env.unwrapped.scenario.name) == ("phones", "ours.csv")
    relative = Path(os.path.relpath(path, elsewhere))
    assert load_scenario(relative).carbon == [str(beside.resolve())]
    # What stands beside the document goes before what stands in the working folder, which still counts.
    for name in ("ours.csv", "here.csv"):
        carbon_file(elsewhere / name)
    assert load_scenario(relative).carbon == [str(beside.resolve())]
    written("zones: 1\ncarbon: {zones: [here.csv]}\ndevices: {kind: file, path: phones}", "lab/mine.yaml")
    read = load_scenario(relative)
    assert read.carbon == {"zones": ["here.csv"]}
    assert read.devices == {"kind": "file", "path": str((lab / "phones").resolve())}


def test_a_document_starts_from_another_beside_it_but_not_from_itself(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written("clients: 9\nzones: 2\ncarbon: [DE, NO]", "lab/first.yaml")
    second = written("", "lab/second.yaml")
    second.write_text("base: first.yaml\nclients: 5\n")
    assert (load_scenario(second).clients, load_scenario(second).zones) == (5, 2)
    (tmp_path / "lab" / "first.yaml").write_text("base: second.yaml\n")
    with pytest.raises(ValueError, match=r"base: 'second.yaml' starts from itself|base: 'first.yaml' starts"):
        load_scenario(second)
