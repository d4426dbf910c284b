"""What numbers of a scenario or a file multiply to is refused before anything is allocated."""

import gzip
import json
import os

import numpy as np
import pytest

from frugalfl.common.reading import parse_json, read_arrays, read_document, read_regular
from frugalfl.common.settings import Settings, parse_settings
from frugalfl.common.sizes import MOST_VALUES, check_values
from frugalfl.envs.episode import PopulationSource
from frugalfl.envs.scenario import load_scenario
from frugalfl.traces.records import regular_series


def test_a_product_is_said_in_one_line():
    check_values("field: 3", 3, 4, do="take less")
    for factors in ((2, MOST_VALUES), (1e300, 1e300), (float("nan"), 1)):
        with pytest.raises(
            ValueError, match=r"field: 3 would need .* values, expected at most .*; take less"
        ):
            check_values("field: 3", *factors, do="take less")


SLOT_KINDS = ("gilbert-elliott", "clusters", "sine")


@pytest.mark.parametrize(
    "changes",
    [
        *({"availability": {"kind": kind, "slot_s": 0.01}} for kind in SLOT_KINDS),
        {"availability": {"kind": "cyclic", "period_s": 1e-9}},
        {"availability": {"kind": "stays", "on_mean_h": 1e-9, "off_mean_h": 1e-9}, "clients": 5000},
        {"availability": {"kind": "spot", "batch_share": 1e-9}},
        {"model": {"kind": "mlp", "hidden": [100_000, 100_000]}},
        {"dataset": {"kind": "synthetic", "num_clients": 10**9}},
        {"dataset": {"kind": "synthetic", "num_features": 10**8}},
        {"quadratic": {"dimension": 512}, "clients": 20_000},
        {"clients": 100_000, "budgets": {"hours": 1e5}},
    ],
    ids=str,
)
def test_a_world_that_no_memory_holds_is_refused(changes):
    with pytest.raises(ValueError, match=r"would need .* values, expected at most") as error:
        PopulationSource(load_scenario("volunteers", **changes), "test").draw(1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("clients", {"clients": 10**9}),
        ("zones", {"zones": 10**9}),
        ("max_rounds", {"max_rounds": 10**23}),
        ("workload.deadline_s", {"workload": {"deadline_s": 1e300}}),
        ("workload.overhead_s", {"workload": {"overhead_s": [1.0, 1e300]}}),
        ("workload.model_bytes", {"workload": {"model_bytes": 1e300}}),
        ("budgets.hours", {"budgets": {"hours": 1e300}}),
        ("preferences.price_per_kg", {"preferences": {"price_per_kg": 1e308}}),
        ("levels.wait_s", {"levels": {"wait_s": [0, 1e300]}}),
        ("levels.local_steps", {"levels": {"local_steps": [0, 10**9]}}),
        ("training.learning_rate", {"training": {"learning_rate": 1e300}}),
        ("model", {"model": 5}),
    ],
)
def test_absurd_numbers_are_refused_by_their_field(field, changes):
    with pytest.raises(ValueError, match=rf"^{field}: .*expected"):
        load_scenario("volunteers", **changes)


def test_ends_go_by_the_unit_in_a_fields_name():
    class Some(Settings):
        wait_s: float = 0
        seed: int = 0
        mean_h: float | tuple[float, float] = 0

    assert parse_settings(Some, {"seed": 2**62, "wait_s": 3e8}, "some").seed == 2**62
    for wrong in ({"wait_s": 4e8}, {"wait_s": -4e8}, {"mean_h": [1, 1e6]}):
        with pytest.raises(ValueError, match=rf"some: {next(iter(wrong))}: .*, expected at most"):
            parse_settings(Some, wrong, "some")


def test_rows_a_microsecond_apart_do_not_become_a_grid_of_hours():
    times, lines = np.array([0.0, 1e-6, 10_000.0]), np.arange(3)
    with pytest.raises(ValueError, match=r"rows are 1e-06 s apart, expected a minute to a day"):
        regular_series("file.csv", "DE", "direct", times, np.ones(3), lines)


@pytest.mark.parametrize(
    "name", ["../../x", "", ".hidden", "a/b", "<script>", "two\nlines", "a" * 101, "a b"]
)
def test_a_scenarios_name_is_the_name_of_a_file(name):
    with pytest.raises(ValueError, match=r"^name: .*expected 1 to 100 letters"):
        load_scenario("volunteers", name=name)
    assert load_scenario("volunteers", name="mine-2.1_é").name == "mine-2.1_é"


def test_only_regular_files_are_read(tmp_path):
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, "/dev/zero"):
        with pytest.raises(ValueError, match="no regular file"):
            read_regular(path, 100)
    with pytest.raises(ValueError, match="no regular file; expected a YAML file"):
        load_scenario(pipe)


def test_files_are_read_no_further_than_is_expected(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"x" * 5000)
    assert len(read_regular(plain, 100)) == 101
    with pytest.raises(ValueError, match="more than 100 bytes"):
        read_document(plain, 100)


def test_a_gzip_file_that_unpacks_to_far_too_much_is_refused(tmp_path):
    zipped = tmp_path / "bomb.gz"
    zipped.write_bytes(gzip.compress(b"0\n" * (20 << 19)))
    with pytest.raises(ValueError, match="more than 200 times its size"):
        read_regular(zipped, 1 << 30)
    zipped.write_bytes(gzip.compress(b"0\n" * 100_000))
    assert len(read_regular(zipped, 1 << 30)) == 200_000
    zipped.write_bytes(zipped.read_bytes()[:-9])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read_regular(zipped, 1 << 30)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "too deeply"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' comes twice"),
        ("9" * 5000, "digits"),
    ],
)
def test_json_that_is_no_document_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse_json(text)
    assert parse_json('{"a": {"a": [1]}}') == json.loads('{"a": {"a": [1]}}')


@pytest.mark.parametrize("text", ["a: " + "[" * 5000 + "]" * 5000, "- " * 5000 + "x", "{a: " * 5000])
def test_yaml_that_is_nested_too_deeply_is_refused(tmp_path, text):
    path = tmp_path / "deep.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"deep\.yaml.* nested more than 50 deep"):
        load_scenario(path)


def test_a_damaged_archive_is_refused_in_one_line(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, a=np.arange(1000), b=np.arange(3))
    assert set(read_arrays(path)) == {"a", "b"}
    data = path.read_bytes()
    for wrong in (data[:50], data[:100] + b"\xff" * 60 + data[160:], b"", b"\x80\x04."):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"arrays\.npz: not readable") as error:
            read_arrays(path)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="not readable"):
        read_arrays(tmp_path / "missing.npz")
