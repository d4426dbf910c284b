"""Dotted names are code: they are documented as such, and `--no-code` refuses them wherever they are read."""

import os

import pytest

from frugalfl.agents.commands.main import COMMANDS, main
from frugalfl.common.registry import NO_CODE, load_dotted, refuses_code
from frugalfl.envs.scenario import load_scenario

FIELDS = ("model", "dataset", "availability", "carbon", "devices", "aggregator", "trainer", "compression")


@pytest.fixture
def no_code(monkeypatch):
    monkeypatch.setenv(NO_CODE, "1")


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of one's own that tells when it is imported."""
    (tmp_path / "told.py").write_text("import os\nos.environ['TOLD'] = 'yes'\ndef make(*a, **k): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("TOLD", raising=False)
    return "told:make"


@pytest.mark.parametrize("field", FIELDS)
def test_a_scenario_that_names_code_is_refused_before_it_runs(no_code, module, field):
    with pytest.raises(ValueError, match=rf"^{field}.*'told:make' names code, which --no-code refuses"):
        load_scenario("volunteers", **{field: module})
    with pytest.raises(ValueError, match="names code"):
        load_scenario("volunteers", **{field: {"kind": module}})
    assert "TOLD" not in os.environ


def test_the_packages_own_names_go_on_working(no_code):
    import gymnasium

    import frugalfl  # noqa: F401

    gymnasium.make("frugalfl/Volunteers-discrete-v0").close()


@pytest.mark.parametrize("value", ["", "0", "no", "off"])
def test_the_variable_may_say_no(monkeypatch, value):
    monkeypatch.setenv(NO_CODE, value)
    assert not refuses_code()
    assert load_dotted("json:loads", "x")("1") == 1


def test_a_command_refuses_code_and_leaves_the_environment_as_it_was(module, tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: volunteers\nname: mine\nmodel: {module}\n")
    arguments = ["evaluate", "--env", str(path), "--schedulers", "random-m", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--no-code"]) == 2
    assert "model: 'told:make' names code, which --no-code refuses" in capsys.readouterr().err
    assert not refuses_code() and "TOLD" not in os.environ and not (tmp_path / "out").exists()
    own = ["evaluate", "--no-code", "--env", "volunteers", "--schedulers", module]
    assert main(own) == 2 and "names code" in capsys.readouterr().err


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "traces"])
def test_every_command_tells_of_it(command, capsys):
    main([command, "--help"])
    assert "--no-code" in capsys.readouterr().out


@pytest.mark.parametrize("name", [":", "os:", ":system", "a:b:c", "os.path", "../x:y", "os system:x"])
def test_what_is_no_dotted_name_is_refused_by_its_field(name):
    with pytest.raises(ValueError, match=r"^model: .*expected|^model: .*unknown"):
        load_scenario("volunteers", model=name)


@pytest.mark.parametrize("name", ["os:getpid", "builtins:dict"])
def test_code_that_makes_no_model_is_refused_by_its_field(name):
    from frugalfl.envs.episode import PopulationSource

    with pytest.raises(ValueError, match=rf"model: '{name}'.*expected a function of \(input_shape") as error:
        PopulationSource(load_scenario("volunteers", model=name), "test").make_core(1)
    assert "\n" not in str(error.value)


def test_code_that_makes_a_model_of_another_shape_is_refused_by_its_field(tmp_path, monkeypatch):
    from frugalfl.envs.episode import PopulationSource

    text = "from torch import nn\ndef narrow(shape, classes): return nn.Linear(7, classes)\n"
    text += "def many(shape, classes): return nn.Sequential(nn.Flatten(), nn.Linear(64, classes + 1))\n"
    (tmp_path / "odd_models.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name, why in (("narrow", "does not take rows of shape"), ("many", r"makes \(2, 11\) of two rows")):
        scenario = load_scenario("volunteers", model=f"odd_models:{name}", workload={"model_bytes": "actual"})
        with pytest.raises(ValueError, match=rf"model: 'odd_models:{name}' {why}"):
            PopulationSource(scenario, "test")
