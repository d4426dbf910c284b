"""Where leakage has a price: a fifth term that changes nothing else, and what it is the price of."""

from __future__ import annotations

import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from own_worlds import FOLDER, begun, plain

from frugalfl.agents.deploy.federation import check_deployable
from frugalfl.agents.schedulers.parts import fork
from frugalfl.envs.adapters import FederatedEnv, FederatedVectorEnv
from frugalfl.envs.adapters.sb3_vec_env import FederatedVecEnv
from frugalfl.envs.agent_view import ObservationEncoder
from frugalfl.envs.contract import RoundPlan
from frugalfl.envs.mixture import MixtureWorld
from frugalfl.envs.scenario import REWARD_TERMS, Preferences, kinds_of, load_scenario
from frugalfl.envs.serving import load_serving
from frugalfl.envs.testing import check_environment, check_world
from frugalfl.envs.world import FederatedWorld

SEEDS = np.arange(4)
TERMS = (*REWARD_TERMS, "leakage")
CHANGES = {
    "training": {"learning_rate": 1.0, "batch_size": 8},
    "hub": {"share": 0.0},
    "partition": "iid",
}
"""Few rows for each, trained on for long: much to tell."""
NOISE = {"kind": "gaussian", "clip": 1.0, "noise_multiplier": 1e4, "expected_clients": 8}


def few_rows(price=2.0, **changes):
    return plain("volunteers", preferences={"price_per_auc": price}, **{**CHANGES, **changes})


def plan_for(world, steps=20):
    available = world.situation().clients.available
    nothing, ones = np.zeros(available.shape, dtype=np.int32), np.ones(world.num_envs)
    return RoundPlan(np.where(available, steps, 0).astype(np.int32), nothing, ones, 0 * ones)


def play(world, rounds=5, steps=20):
    """Everybody trains in every round; `[rounds, E, T]`, the terms."""
    return np.stack([world.step(plan_for(world, steps)).terms for _ in range(rounds)])


class TestOff:
    """A price of zero is none: nobody listens, nothing has another shape, documents are what they were."""

    def test_documents_do_not_mention_it_unless_somebody_does(self):
        written = load_scenario("phones").model_dump()
        assert "price_per_auc" not in written["preferences"] and "overheard" not in written
        said = load_scenario("phones", preferences={"price_per_auc": 0.5}, overheard="sums")
        again = load_scenario(load_scenario(said))
        assert again == said and again.preferences.price_per_auc == 0.5 and again.overheard == "sums"
        assert load_scenario(said, preferences=Preferences(price_per_auc=0.0), overheard="updates") == (
            load_scenario("phones")
        )

    def test_no_price_is_a_price_of_zero(self):
        without, zero = begun(plain("volunteers", **CHANGES), SEEDS), begun(few_rows(0.0), SEEDS)
        assert without.scenario.reward_terms == zero.scenario.reward_terms == REWARD_TERMS
        np.testing.assert_array_equal(play(without), play(zero))
        assert without.totals().keys() == zero.totals().keys() and "mia_auc_charged" not in zero.totals()
        spaces = [ObservationEncoder(world.scenario).space for world in (without, zero)]
        assert spaces[0] == spaces[1] != ObservationEncoder(few_rows()).space

    def test_the_other_terms_models_and_draws_are_those_of_the_world_without(self):
        without, priced = begun(plain("volunteers", **CHANGES), SEEDS), begun(few_rows((1.0, 3.0)), SEEDS)
        paid = play(priced)
        np.testing.assert_array_equal(play(without), paid[..., :4])
        np.testing.assert_array_equal(without.parameters(), priced.parameters())
        before, after = (world.situation().terms for world in (without, priced))
        for name, values in vars(before).items():
            if name != "price_per_auc":
                np.testing.assert_array_equal(values, getattr(after, name), err_msg=name)
        assert (before.price_per_auc == 0).all() and paid[..., 4].any()


class TestPrice:
    """What is known of it, and what it is paid for."""

    def test_a_range_is_drawn_for_every_episode_and_seen_by_everybody(self):
        world = begun(few_rows((0.5, 8.0)), np.arange(12))
        price = world.situation().terms.price_per_auc
        assert len(set(price)) == 12 and price.min() >= 0.5 and price.max() <= 8.0
        seen = ObservationEncoder(world.scenario).encode(world.situation())["server"]
        np.testing.assert_allclose(seen[:, -1], np.tanh(np.log(price) / 3.0), rtol=1e-6)
        assert ObservationEncoder(world.scenario).columns["server"][-1] == "price_per_auc"
        alone = begun(world.scenario, [5]).situation().terms.price_per_auc
        assert alone == price[5]

    def test_an_episode_pays_for_the_largest_area_that_it_has_reached(self):
        world = begun(few_rows((0.5, 8.0)), SEEDS)
        reached, terms = [], []
        for _ in range(6):
            terms.append(world.step(plan_for(world)).terms)
            reached.append(world.totals()["mia_auc_charged"])
        assert (np.diff(reached, axis=0) >= 0).all() and (np.array(terms)[..., 4] <= 0).all()
        price = world.situation().terms.price_per_auc
        whole = -price * 100.0 * (reached[-1] - 0.5)
        np.testing.assert_allclose(np.sum(terms, axis=0)[:, 4], whole, rtol=1e-12)
        np.testing.assert_allclose(np.sum(terms, axis=(0, 2)), world.totals()["net_points"])
        assert (reached[-1] > 0.55).all()

    def test_nothing_arrives_nothing_is_charged(self):
        world = begun(few_rows(), SEEDS)
        play(world, 2)
        before = world.totals()["mia_auc_charged"]
        nobody, zero = np.zeros((4, 24), dtype=np.int32), np.zeros(4)
        waits = world.step(RoundPlan(nobody, nobody, zero + 1.0, zero + 1800.0))
        assert not waits.terms[:, 4].any() and (world.totals()["mia_auc_charged"] == before).all()

    def test_what_is_observed_tells_nothing_of_members(self):
        # The same world twice, overheard in two ways: other charges, and no other number anywhere.
        updates, sums = begun(few_rows(), SEEDS), begun(few_rows(overheard="sums"), SEEDS)
        encoder = ObservationEncoder(updates.scenario)
        for _ in range(4):
            mine, other = updates.step(plan_for(updates)), sums.step(plan_for(sums))
            assert (mine.terms[:, 4] != other.terms[:, 4]).any()
            ours, theirs = (encoder.encode(world.situation()) for world in (updates, sums))
            for name, values in ours.items():
                np.testing.assert_array_equal(values, theirs[name])


class TestProtection:
    """What lowers it, on fixed seeds."""

    def charged(self, **changes):
        world = begun(few_rows(1.0, **changes), SEEDS)
        return -play(world)[..., 4].sum(axis=0)

    def test_sums_and_sparse_updates_cost_less_than_plain_ones_in_every_episode(self):
        plainly = self.charged()
        assert (self.charged(overheard="sums") < plainly).all()
        assert (self.charged(compression={"kind": "top-k", "share": 0.01}) < plainly).all()

    def test_in_infinite_noise_only_chance_is_left_to_pay_for(self):
        loud = self.charged(overheard="sums", aggregator=NOISE)
        rows = 24 * 20  # hundredths of the interval of one area over all rows of an episode
        assert (loud < 100 * 1.96 * np.sqrt((2 * rows + 1) / (12 * rows * rows))).all()
        assert loud.mean() < 0.2 * self.charged().mean()


class TestFaces:
    """Whoever steps the world is charged the same."""

    WORLD = {"scenario": str(FOLDER / "volunteers.yaml"), "preferences": {"price_per_auc": [0.5, 8.0]},
             "max_rounds": 4, **CHANGES}  # fmt: skip

    def actions(self, space, count):
        rng = np.random.default_rng(1)
        drawn = rng.integers(space.nvec, size=(count, space.nvec.size))
        drawn[:, 0] = 0
        return drawn

    def test_single_batch_and_vec_env_pay_the_same_to_the_last_bit(self):
        batch = FederatedVectorEnv(3, autoreset_mode=AutoresetMode.SAME_STEP, **self.WORLD)
        sb3 = FederatedVecEnv(num_envs=3, **self.WORLD)
        moves = self.actions(batch.single_action_space, 7)
        batch.reset(seed=40)
        sb3.seed(40)
        sb3.reset()
        paid = []
        for move in moves:  # over the end of episodes
            _, reward, *_, infos = batch.step(np.stack([move] * 3))
            _, rewards, _, told = sb3.step(np.stack([move] * 3))
            np.testing.assert_array_equal(reward.astype(np.float32), rewards)
            paid.append(np.stack([info["reward_terms"] for info in told]))
            same = infos.get("_final_info", np.zeros(3, dtype=bool))
            np.testing.assert_array_equal(infos["reward_terms"][~same], paid[-1][~same])
        for row in range(3):
            env = FederatedEnv(**self.WORLD)
            _, first = env.reset(seed=40 + row)
            assert first["reward_terms"].shape == (5,) and first["episode_mia_auc_charged"] == 0.5
            for move, terms in zip(moves, paid, strict=True):
                _, reward, terminated, truncated, info = env.step(move)
                np.testing.assert_array_equal(info["reward_terms"], terms[row])
                assert reward == terms[row].sum()
                if terminated or truncated:
                    env.reset()
        assert np.array(paid)[..., 4].any()

    def test_a_copy_of_a_world_goes_on_by_itself(self):
        world = begun(few_rows(), SEEDS)
        play(world, 2)
        copy = fork(world)
        known = world.totals()["mia_auc_charged"]
        ahead = play(copy, 2)
        assert (copy.totals()["mia_auc_charged"] > known).any()
        assert (world.totals()["mia_auc_charged"] == known).all()
        np.testing.assert_array_equal(play(world, 2), ahead)

    def test_a_vector_reward_has_a_fifth_objective_where_it_has_a_price(self):
        env = FederatedEnv(vector_reward=True, **self.WORLD)
        assert env.reward_dim == 5 and env.reward_space.shape == env.reference_point.shape == (5,)
        env.reset(seed=3)
        _, reward, *_, info = env.step(self.actions(env.action_space, 1)[0])
        np.testing.assert_array_equal(reward, info["reward_terms"].astype(np.float32))
        two = FederatedEnv(vector_reward=True, objectives=["accuracy", "leakage"], **self.WORLD)
        two.reset(seed=3)
        _, folded, *_, info = two.step(self.actions(env.action_space, 1)[0])
        terms = info["reward_terms"]
        np.testing.assert_allclose(folded, [terms[:4].sum(), terms[4]], rtol=1e-6)
        assert FederatedEnv(vector_reward=True).reward_dim == 4
        with pytest.raises(ValueError, match="objectives: 'leakage' is no term where preferences: price_per"):
            FederatedEnv(vector_reward=True, objectives=["leakage"])

    def test_it_keeps_what_every_world_promises(self):
        check_world(few_rows(clients=6), decisions=4)
        env_id = "frugalfl/Volunteers-v0"
        check_environment(env_id, clients=6, max_rounds=2, preferences={"price_per_auc": [0.5, 8.0]})

    def test_pictures_name_it(self):
        env = FederatedEnv(render_mode="ansi", **self.WORLD)
        env.reset(seed=0)
        env.step(self.actions(env.action_space, 1)[0])
        assert re.search(r"leakage [-+]\d", env.render())

    def test_registered_ids_take_it(self):
        env = gym.make("frugalfl/mo-Phones-v0", preferences={"price_per_auc": 1.0}, clients=8)
        assert env.unwrapped.reward_dim == 5
        env.close()


class TestMixtures:
    """Each kind at its own price; all kinds at some."""

    DEAR = {"name": "dear", "preferences": {"price_per_auc": [4.0, 6.0]}, "clients": 12}
    MIXED = {"preferences": {"price_per_auc": 1.0}, "mixture": [{"name": "cheap"}, DEAR]}

    def test_every_kind_pays_its_own_price(self):
        scenario = plain("volunteers", **CHANGES, **self.MIXED)
        world = MixtureWorld(scenario, 6)
        seeds = np.arange(6)
        world.reset(np.ones(6, dtype=bool), seeds)
        price = world.situation().terms.price_per_auc
        assert set(world.kind) == {0, 1}
        assert (price[world.kind == 0] == 1.0).all() and (price[world.kind == 1] >= 4.0).all()
        terms = play(world, 3)
        for row, kind in enumerate(world.kind):
            alone = begun(kinds_of(scenario)[kind], [seeds[row]])
            np.testing.assert_array_equal(play(alone, 3)[:, 0], terms[:, row])
        assert terms.shape[2] == 5 and world.totals()["mia_auc_charged"].shape == (6,)

    def test_a_kind_without_a_price_would_have_fewer_terms(self):
        free = {"name": "free", "preferences": {"price_per_auc": 0.0}}
        with pytest.raises(ValueError, match=r"mixture: 1: preferences: price_per_auc: 0\.0, expected some"):
            plain("volunteers", preferences={"price_per_auc": 1.0}, mixture=[{"name": "paid"}, free])


class TestRefusals:
    """Where there is nothing to overhear, or nobody who knows."""

    @pytest.mark.parametrize(
        ("name", "changes", "why"),
        [
            ("quadratic", {}, "quadratics, whose clients have no rows"),
            ("streams", {}, "a world with arrivals"),
            ("volunteers", {"model": "cox"}, "a single row has no likelihood"),
        ],
    )
    def test_worlds_in_which_rows_mean_nothing(self, name, changes, why):
        with pytest.raises(ValueError, match=rf"preferences: price_per_auc: 1\.0, expected none.*{why}"):
            load_scenario(name, preferences={"price_per_auc": 1.0}, **changes)

    def test_who_hears_what_is_about_a_price(self):
        with pytest.raises(
            ValueError, match="overheard: sums, expected updates where preferences: price_per"
        ):
            load_scenario("volunteers", overheard="sums")

    def test_serving(self):
        with pytest.raises(ValueError, match=r"price_per_auc: 1\.0, expected none in a world of serving"):
            load_serving("serving", preferences={"price_per_auc": 1.0})

    def test_live_federations(self):
        check_deployable(load_scenario("volunteers"))
        with pytest.raises(ValueError, match=r"preferences: price_per_auc: 1\.0, expected none.*live"):
            check_deployable(load_scenario("volunteers", preferences={"price_per_auc": 1.0}))


def test_the_scenario_of_the_page_works_as_it_stands(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "robustness.md"
    (document,) = re.findall(r"```yaml\n(base: .*?price_per_auc.*?)```", page.read_text("utf-8"), re.DOTALL)
    path = tmp_path / "private.yaml"
    path.write_text(document, encoding="utf-8")
    scenario = load_scenario(path)
    assert scenario.reward_terms == TERMS and len(document.splitlines()) <= 10
    world = FederatedWorld(scenario, 1)
    world.reset(np.ones(1, dtype=bool), np.zeros(1, dtype=np.int64))
    assert play(world, 1).shape == (1, 1, 5)
