"""The scripts behind the published tables: every case is a valid world, and a table counts losses too."""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import frugalfl
from frugalfl.agents.evaluation import EvaluationResult
from frugalfl.agents.evaluation.measures import Interval, mean, paired_difference
from frugalfl.agents.execution import Landed
from frugalfl.agents.schedulers import make_scheduler, tuned_schedulers
from frugalfl.agents.tuning import FREE, Variant, VariantFound, net_points, optimiser_of, with_optimiser
from frugalfl.envs.scenario import load_scenario, scenario_names
from frugalfl.fl_core.aggregation import AGGREGATORS

BENCHMARKS = Path(frugalfl.__file__).parent / "benchmarks"


def loaded(name):
    if not BENCHMARKS.is_dir():
        pytest.skip("benchmarks are not installed")
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script():
    return loaded("generalisation")


@pytest.fixture(scope="module")
def worlds():
    return loaded("worlds")


@pytest.fixture(scope="module")
def optimiser():
    return loaded("optimiser")


@pytest.mark.parametrize("world", ["volunteers", "phones", "spotmarket"])
def test_every_case_changes_its_world_and_is_valid(script, world):
    home, names = load_scenario(world), set()
    for case in script.cases(world, None):
        if case.lacking:
            continue
        changed = load_scenario(world, **case.changes)
        assert (changed == home) == (case.name == script.AT_HOME), case.name
        names.add(case.name)
    assert {"ten-times", "dirichlet", "synthetic-data", "mlp", "wrong-carbon-forecast"} <= names
    lacking = {case.name for case in script.cases(world, None) if case.lacking}
    assert "real-carbon" in lacking


def result(ours, theirs):
    rows = [
        {"scheduler": name, "kind": kind, "episode": episode, "net_points": points, "kilograms": kg}
        for name, kind, values, kg in (("x", "learned", ours, 1.0), ("y", "handcrafted", theirs, 2.0))
        for episode, points in enumerate(values)
    ]
    return EvaluationResult("volunteers", "test", pd.DataFrame(rows), pd.DataFrame())


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [([5.0, 6.0, 7.0, 6.5], "win"), ([-5.0, -6.0, -7.0, -6.5], "loss"), ([5, -5, 4, -4], "tie")],
)
def test_wins_and_losses_alike_stand_in_the_table(script, gain, verdict):
    base = [50.0, 51.0, 49.0, 50.5]
    row = script.row_of("volunteers", "case", result([b + g for b, g in zip(base, gain, strict=True)], base))
    assert row["verdict"] == verdict
    assert row["co2_change"] == pytest.approx(-0.5)
    page = script.page([row], ["phones/real-phones (no data)"], 4, "python x")
    assert f"1 x {verdict}." in page
    assert "Left out: phones/real-phones (no data)." in page


@pytest.mark.parametrize("world", scenario_names())
def test_every_change_of_an_optimiser_is_another_valid_world(optimiser, world):
    home = load_scenario(world)
    changes = optimiser.changes(home)
    changed = [with_optimiser(home, settings) for settings in changes.values()]
    assert home not in changed
    assert len({str(each) for each in changed}) == len(changed)
    touched = {name for settings in changes.values() for name in settings}
    assert touched == set(optimiser_of(home))
    assert {"momentum 0.3", "momentum 0.7", "adam"} <= set(changes)


@pytest.mark.parametrize("world", scenario_names())
def test_several_schedulers_judge_an_optimiser(optimiser, world):
    names = optimiser.schedulers(world)
    assert names[:3] == ["random-m", "mpc", "linear-rule"]
    others = set(tuned_schedulers(world)) - set(names[:3])
    assert set(names[3:]) <= others
    assert len(set(names)) == len(names) == 3 + min(3, len(others))
    for name in names:
        make_scheduler(name, world)
    assert optimiser.schedulers("my own") == names[:3]


class InProcess:
    """An engine that needs no other process."""

    def run(self, function, work):
        for key, arguments in work.items():
            yield Landed(key, function(*arguments))


def test_gains_are_paired_differences_with_the_best_stop(optimiser):
    home = load_scenario("quadratic", name="small", max_rounds=6)
    found = optimiser.gains(home, ["random-m", "linear-rule"], 3, 1, InProcess())
    assert list(found) == list(optimiser.changes(home))
    changed = with_optimiser(home, {"server": "momentum", "momentum": 0.3})
    for name in ("random-m", "linear-rule"):
        ours, theirs = (net_points(name, world, 3, 1)[0] for world in (changed, home))
        assert found["momentum 0.3"][name] == paired_difference(ours, theirs, mean)
    assert len(optimiser.table(found)) == 2 + len(found)


@pytest.mark.parametrize(
    ("gain", "end"),
    [
        (Interval(0.5, 0.1, 0.9), "0.5: holds"),
        (Interval(-3.0, -4.0, -2.0), "0.5: holds"),
        (Interval(0.6, -0.1, 1.3), "0.5: FAILS: adam for mpc +0.60 [-0.10, +1.30]"),
    ],
)
def test_a_change_that_gains_is_named(optimiser, gain, end):
    found = {"adam": {"random-m": Interval(0.0, -1.0, 1.0), "mpc": gain}}
    assert optimiser.verdict(found) == f"no change gains any scheduler more than {end}"
    assert optimiser.table(found)[-1].startswith(f"| adam | +0.00 [-1.00, +1.00] | {gain.value:+.2f}")


def found_by_search(label, points, constant=None):
    """Two searches on three episodes."""
    variant = Variant(label, "" if constant is None else "wait")
    names = ("accuracy", "hours", "gigabytes", "kilograms", "rounds", "lost_share", "stopped")
    return VariantFound(variant, constant, np.array(points), dict.fromkeys(names, 0.5), 1000)


def test_the_value_of_a_decision_is_what_freezing_it_costs(worlds):
    found = {
        FREE: found_by_search(FREE, [[50.0, 60.0, 70.0], [52.0, 62.0, 72.0]]),
        "wait: never": found_by_search("wait: never", [[47.0, 57.0, 67.0], [49.0, 59.0, 69.0]], 0),
        "true carbon": found_by_search("true carbon", [[45.0, 55.0, 65.0], [47.0, 57.0, 67.0]]),
    }
    rows = worlds.table(found)
    assert rows[2].startswith("| free |  | 61.0 |  | 50.0 |")
    assert rows[3].startswith("| wait: never | 0 | 58.0 | +3.0 [+3.0, +3.0] |")
    [line] = worlds.nested(found)
    assert line == "- true carbon minus free: -5.0 [-5.0, -5.0] FAILS: the searches have not converged"
    world = load_scenario("quadratic", max_rounds=80)
    assert worlds.limits(found, world).startswith(
        "The free rule ends 50 % of its runs by choice, after 0.5 of"
    )


def test_every_constant_can_have_a_search_of_its_own(worlds):
    free, stop = Variant(FREE), Variant("stop: constant round", "stop_after_rounds", (3, 6))
    apart = worlds.with_each_constant([free, stop])
    assert [(each.label, each.constants) for each in apart] == [
        (FREE, (0,)),
        ("stop: constant round 3", (3,)),
        ("stop: constant round 6", (6,)),
    ]
    assert {each.freeze for each in apart[1:]} == {"stop_after_rounds"}


SCENARIOS = sorted(BENCHMARKS.rglob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=[path.stem for path in SCENARIOS])
def test_the_scenarios_beside_the_scripts_are_valid(path):
    assert load_scenario(str(path)).name


def test_some_variants_alone_have_the_free_rule_beside_them(worlds):
    known = [Variant(FREE), Variant("wait: never", "wait"), Variant("who: random", "who")]
    assert [each.label for each in worlds.selected(known, ["who"])] == [FREE, "who: random"]
    assert worlds.selected(known, None) == known
    with pytest.raises(ValueError, match="only: 'when', expected the beginning of one of"):
        worlds.selected(known, ["who", "when"])


def test_every_cell_of_the_robust_table_is_a_valid_world():
    robust = loaded("robust")
    args = argparse.Namespace(share=0.2, partition="iid", rounds=3)
    for attack in robust.ATTACKS.values():
        for aggregator in robust.aggregators(5).values():
            scenario = robust.scenario_of(args, attack, aggregator)
            assert (scenario.malicious is None) == (attack is None)
            AGGREGATORS.make(scenario.aggregator).bind(1, scenario.clients, 3, np.dtype(np.float32))


def test_every_row_of_the_leakage_table_is_a_valid_world():
    leakage = loaded("leakage")
    for changes in leakage.variants(20.0).values():
        assert load_scenario("phones", **changes) != load_scenario("phones") or not changes


def test_every_row_of_the_price_of_leakage_is_a_valid_world():
    script, priced = loaded("price_of_leakage"), {"preferences": {"price_per_auc": 2.0}}
    found = script.worlds([0.1, 1e4], 2)
    assert list(found) == ["updates", "sums", "sums, noise 0.1", "sums, noise 10000"]
    changed = [load_scenario("hospitals", **priced, **changes) for changes in found.values()]
    assert [world.overheard for world in changed] == ["updates", "sums", "sums", "sums"]
    assert len({world.model_dump_json() for world in changed}) == len(changed)


def test_fine_tuning_plays_every_case_and_counts_its_bytes():
    script = loaded("fine_tuning")
    found = script.cases([2])
    assert list(found) == ["all, from nothing", "all, from the base", "rank 2", "rank 2 and the head"]
    cells = script.row({**found["rank 2"], "pretrained": {**script.BASE, "steps": 20}}, 1, 2)
    assert cells[0] == f"{2 * (4 * 16 + 2 * 16 + 5 * 16 + 5 * 16):,}"
    assert 0 < float(cells[2]) < float(cells[1]) < 4.0 < float(cells[3]) == 7.0


def test_stock_ppo_is_measured_drawn_and_likeliest_at_every_mark(monkeypatch, capsys):
    words = ["--envs", "frugalfl/Quadratic-v0", "--marks", "0", "256", "--episodes", "2"]
    monkeypatch.setattr(sys, "argv", ["stock_ppo.py", *words])
    loaded("stock_ppo").main()
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1].strip() for row in rows] == ["0", "256"]
    points = [[float(cell.split("±")[0]) for cell in row[2:]] for row in rows]
    assert np.isfinite(points).all() and points[0] != points[1]


def test_an_outsider_that_fails_is_in_the_table_and_in_the_exit_status(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # the script sets it; what it was comes back
    script = loaded("outsiders")
    needs = {check.what: check.needs for check in script.snippets()}
    assert needs["snippet: TorchRL"] == ("torchrl",) and needs["snippet: Hydra"] == ("hydra",)

    def broken():
        raise RuntimeError("theirs\nmore")

    checks = [script.Check("runs", ("numpy",), lambda: None), script.Check("breaks", ("numpy",), broken)]
    monkeypatch.setattr(script, "snippets", list)
    monkeypatch.setattr(script, "CHECKS", [*checks, script.Check("absent", ("no_such_library",), broken)])
    monkeypatch.setattr(sys, "argv", ["outsiders.py"])
    assert script.main() == 1
    *_, runs, breaks = capsys.readouterr().out.splitlines()
    assert runs.endswith("| runs | works |") and breaks.endswith(
        "| breaks | **fails**: RuntimeError: theirs |"
    )
    monkeypatch.setattr(sys, "argv", ["outsiders.py", "--only", "runs"])
    assert script.main() == 0
