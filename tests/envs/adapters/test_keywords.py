"""Keywords that no environment has: refused as Python refuses them, and as this package does."""

from __future__ import annotations

import gymnasium as gym
import pytest

import frugalfl
from frugalfl.envs.adapters import FederatedVectorEnv

ID = "frugalfl/Quadratic-v0"


@pytest.mark.parametrize("error", [TypeError, ValueError])
@pytest.mark.parametrize(
    "make",
    [
        lambda **given: gym.make(ID, **given),
        lambda **given: FederatedVectorEnv(2, "quadratic", **given),
        lambda **given: frugalfl.make_vec_env(ID, 2, **given),
    ],
    ids=["single", "batch", "sb3"],
)
def test_an_unknown_keyword_is_a_type_error_and_a_value_error(make, error):
    with pytest.raises(
        error, match=r"Env got an unexpected keyword argument 'client'; did you mean 'clients'"
    ):
        make(client=7)
    # TorchRL takes the keyword back if the error is a TypeError of these words.
    with pytest.raises(error, match=r"unexpected keyword argument 'frameskip'"):
        make(frameskip=1)


def test_what_is_wrong_inside_a_field_is_no_matter_of_keywords():
    with pytest.raises(
        ValueError, match=r"price_per_kgs: unknown field; did you mean 'price_per_kg'"
    ) as told:
        gym.make(ID, preferences={"price_per_kgs": 3.0})
    assert not isinstance(told.value, TypeError)


def test_the_word_of_sb3_for_the_number_of_environments_is_understood():
    assert frugalfl.make_vec_env(ID, n_envs=3).num_envs == frugalfl.make_vec_env(ID, 3).num_envs == 3
