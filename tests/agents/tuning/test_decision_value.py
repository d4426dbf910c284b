"""The value of a decision: all variants are searched, obey their constants, and are reported as they play."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from frugalfl.agents.evaluation import episode_seeds, make_worlds
from frugalfl.agents.tuning import FREE, NESTED, Evolution, Study, decision_value, measure, variants
from frugalfl.envs.contract import STOP_S, rollout
from frugalfl.envs.scenario import load_scenario, scenario_names

WORLD = load_scenario("quadratic", name="small", max_rounds=8)
STUDY = Study(WORLD, seeds=2, first_rounds=2500, rounds=2500, episodes=3, screening=2)


@pytest.fixture(scope="module")
def study(in_process, tmp_path_factory):
    """The folder of the journals, and what was found by label."""
    folder = tmp_path_factory.mktemp("study")
    return folder, {each.variant.label: each for each in measure(STUDY, folder, in_process())}


class TestVariants:
    @pytest.mark.parametrize("world", scenario_names())
    def test_labels_are_unique_and_hold_all_nested_ones(self, world):
        labels = [each.label for each in variants(load_scenario(world))]
        assert len(labels) == len(set(labels))
        assert {label for pair in NESTED for label in pair} <= set(labels)

    @pytest.mark.parametrize("world", scenario_names())
    def test_every_changed_world_is_valid_and_another(self, world):
        home = load_scenario(world)
        for each in variants(home):
            assert (load_scenario(home, **each.changes) == home) == (not each.changes), each.label
            for constant in each.constants:
                Evolution(home, freeze=each.frozen(constant), knowledge=each.knowledge).check()

    def test_nothing_is_moved_where_no_hub_has_data(self):
        labels = {each.label for each in variants(load_scenario("quadratic", hub={"share": 0.0}))}
        everywhere = {each.label for each in variants(WORLD)}
        assert everywhere - labels == {"data moved: constant"}

    def test_pauses_and_whom_to_send_to_are_asked_where_models_serve(self):
        serving = {"pause: constant", "refresh: constant"}
        assert not serving & {each.label for each in variants(WORLD)}
        assert serving <= {each.label for each in variants(load_scenario("streams"))}
        one = load_scenario("streams", serving={"refresh": ["available"]})
        assert serving & {each.label for each in variants(one)} == {"pause: constant"}


class TestStudy:
    def test_every_variant_is_searched_and_played(self, study):
        _, found = study
        assert set(found) == {each.label for each in variants(WORLD)}
        for each in found.values():
            assert each.net_points.shape == (2, 3)
            assert np.isfinite(each.net_points).all()
            assert each.figures["net_points"] == pytest.approx(each.net_points.mean())
            assert 0 < each.rounds <= STUDY.seeds * (STUDY.first_rounds + STUDY.rounds)
            assert (each.constant is None) == (not each.variant.freeze)
            assert each.constant is None or each.constant in each.variant.constants

    def test_reports_are_plain_rollouts_on_test_episodes_that_obey_the_constants(self, study):
        folder, found = study
        seeds = episode_seeds(decision_value._REPORT_SEED, STUDY.episodes)
        for each in found.values():
            variant, constant = each.variant, each.constant or 0
            scenario = load_scenario(WORLD, **variant.changes)
            first = decision_value.search_variant(
                STUDY, found[FREE].variant, 0, 1, None, STUDY.first_rounds, folder
            )
            searched = decision_value.search_variant(
                STUDY, variant, constant, 1, first.theta, STUDY.rounds, folder
            )
            freeze = {variant.freeze: constant} if variant.freeze else {}
            rule = Evolution(scenario, freeze=freeze, knowledge=variant.knowledge).rule(searched.theta)
            world = make_worlds(scenario, "test")(len(seeds))
            for turn in rollout(world, rule, seeds):
                self.obeys(variant.freeze, constant, turn)
            totals, start = world.totals(), world.initial_test_accuracy
            on_test = world.test_scores()[0] - start - (totals["accuracy"] - totals["accuracy_start"])
            expected = totals["net_points"] + 100 * on_test
            np.testing.assert_allclose(each.net_points[1], expected, rtol=1e-12, err_msg=variant.label)

    def obeys(self, freeze, constant, turn):
        """Whether a turn keeps a frozen decision at its constant."""
        plan, running = turn.plan, turn.running
        waits = (plan.wait_s > 0) & np.isfinite(plan.wait_s)
        invited = plan.invited & running[:, None]
        if freeze == "wait":
            assert not waits[running].any()
        elif freeze == "participants":
            assert invited.sum(axis=1).max() <= constant
        elif freeze == "local_steps":
            assert (plan.local_steps[invited] == constant).all()
        elif freeze == "transfer_samples":
            assert (plan.transfer_samples[invited] <= constant).all()
        elif freeze == "stop_after_rounds":
            over = turn.situation.run.round_index >= constant
            assert ((plan.wait_s == STOP_S) == over)[running].all()

    def test_again_nothing_is_searched_anew(self, study, in_process, monkeypatch):
        folder, found = study
        before = {path: path.read_bytes() for path in folder.rglob("*.json")}
        assert len(before) == STUDY.seeds * (len(found) + 1)
        splits = Counter()

        def counted(scenario, split):
            splits[split] += 1
            return make_worlds(scenario, split)

        monkeypatch.setattr("frugalfl.agents.tuning.evolution.search.make_worlds", counted)
        again = {each.variant.label: each for each in measure(STUDY, folder, in_process())}
        assert not splits
        assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before
        for label, each in found.items():
            assert again[label].net_points.tolist() == each.net_points.tolist()
            assert (again[label].constant, again[label].figures) == (each.constant, each.figures)

    def test_another_study_is_refused_the_folder(self, study, in_process):
        folder, _ = study
        other = Study(WORLD, seeds=2, first_rounds=900, rounds=900, episodes=3, screening=2)
        with pytest.raises(ValueError, match="delete the file"):
            measure(other, folder, in_process())

    def test_another_first_seed_and_other_episodes_repeat_the_study_independently(self, study, in_process):
        """It reads the journal of the same seed and plays other episodes."""
        folder, found = study
        again = replace(STUDY, seeds=1, first_seed=1, report_seed=STUDY.report_seed + 1)
        before = set(folder.rglob("*.json"))
        [free] = measure(again, folder, in_process(), [found[FREE].variant])
        assert set(folder.rglob("*.json")) == before  # the search with seed 1 is known
        assert free.net_points.shape == (1, STUDY.episodes)
        assert free.net_points[0].tolist() != found[FREE].net_points[1].tolist()
        [same] = measure(replace(again, report_seed=STUDY.report_seed), folder, in_process(), [free.variant])
        assert same.net_points[0].tolist() == found[FREE].net_points[1].tolist()
