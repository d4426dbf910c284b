"""What `frugalfl theory` says of privacy: a bound that a scheduler cannot break, and a refusal."""

from __future__ import annotations

import numpy as np
import pytest

from frugalfl.agents.commands.theory import main
from frugalfl.agents.evaluation import make_worlds
from frugalfl.agents.insight.privacy import reads_reports
from frugalfl.agents.schedulers import make_scheduler

SEEDS = np.array([1, 2])


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("random-m", False),
        ("all-available", False),
        ("fastest-m", False),
        ("greenest-m", False),
        ("oort", True),
        ("pow-d", True),
        ("power-of-choice", True),
        ("afl", True),
    ],
)
def test_schedulers_that_read_reports_are_found_by_playing(name, reads):
    world = make_worlds("volunteers", "test")(len(SEEDS))
    twins = [make_scheduler(name, participants=4) for _ in range(2)]
    assert reads_reports(world, *twins, SEEDS) == reads


def said(capsys, *args):
    code = main(["--episodes", "2", "--rounds", "4", *args])
    return code, capsys.readouterr().out


def test_the_bound_is_shown_and_the_sampling_assumption_named(capsys):
    code, out = said(capsys, "--noise-multiplier", "1.5", "--scheduler", "random-m")
    assert code == 0
    assert "most rounds in which one client answered" in out
    assert "if nobody was to answer more often" in out
    assert "nothing is taken off for sampling" in " ".join(out.split())


def test_a_scheduler_that_reads_losses_gets_no_figure(capsys):
    code, out = said(capsys, "--noise-multiplier", "1.5", "--scheduler", "pow-d")
    assert code == 0
    assert "Privacy: no figure; scheduler pow-d decides by what clients report" in " ".join(out.split())
    assert "epsilon" not in out


def test_nothing_is_said_unless_it_is_asked(capsys):
    assert "epsilon" not in said(capsys)[1]


def test_a_multiplier_out_of_range_is_one_line(capsys):
    assert main(["--episodes", "1", "--rounds", "3", "--noise-multiplier", "0"]) == 2
    assert "noise_multiplier: 0" in capsys.readouterr().err
