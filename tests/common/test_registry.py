"""Registries: by name, by mapping, by dotted name, as a field of a document."""

import sys
import types

import pytest
from pydantic import Field

from frugalfl.common.registry import Registry
from frugalfl.common.settings import Settings, parse_settings


class Tool:
    def __init__(self, size=1, material="steel"):
        self.size, self.material = size, material


class Saw(Tool):
    class Options(Settings):
        size: int = Field(default=3, ge=1)


class Glue(Settings):
    """Settings that are the object itself."""

    strength: float = Field(default=0.5, ge=0, le=1)


@pytest.fixture
def tools():
    registry = Registry("tool", Tool)
    registry.register("saw")(Saw)
    registry.register("hammer")(Tool)
    return registry


def test_a_name_makes_the_object_with_the_defaults_of_its_options(tools):
    assert isinstance(tools.make("saw"), Saw) and tools.make("saw").size == 3
    assert type(tools.make("hammer")) is Tool


def test_a_mapping_sets_options_and_context_goes_beside_them(tools):
    made = tools.make({"kind": "saw", "size": 7}, material="bronze")
    assert (made.size, made.material) == (7, "bronze")


def test_an_object_passes_through(tools):
    mine = Tool()
    assert tools.make(mine) is mine


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("sow", ["tool: 'sow' is unknown", "did you mean 'saw'?"]),
        ({"kind": "saw", "sise": 2}, ["tool 'saw': sise: unknown field", "did you mean 'size'?"]),
        ({"kind": "saw", "size": 0}, ["tool 'saw': size: 0, expected greater than or equal to 1"]),
        ({"kind": "hammer", "size": 2}, ["tool 'hammer': size: unknown field"]),
        ({"size": 2}, ["expected a name or a mapping with the key 'kind'"]),
        (7, ["tool: 7, expected a name"]),
        ("nowhere:Saw", ["cannot import 'nowhere'"]),
        ("collections:Saw", ["collections has no 'Saw'"]),
        ("collections:OrderedDict", ["made a OrderedDict, expected a Tool"]),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(tools, spec, words):
    with pytest.raises(ValueError) as caught:
        tools.make(spec)
    said = str(caught.value)
    assert "\n" not in said
    for word in words:
        assert word in said


def test_a_dotted_name_needs_no_registration(tools, monkeypatch):
    module = types.ModuleType("my_workshop")
    module.Saw = Saw
    monkeypatch.setitem(sys.modules, "my_workshop", module)
    assert tools.make({"kind": "my_workshop:Saw", "size": 5}).size == 5


def test_a_settings_model_is_its_own_object():
    registry = Registry("glue", Glue)
    registry.register("wood")(Glue)
    assert registry.make({"kind": "wood", "strength": 0.25}) == Glue(strength=0.25)


def test_a_name_is_given_once(tools):
    tools.register("saw")(Saw)  # the same again, as when a module is imported twice
    with pytest.raises(ValueError, match="'saw' is registered already"):
        tools.register("saw")(Tool)
    with pytest.raises(ValueError, match="expected a name without a colon"):
        tools.register("my:saw")
    tools.remove("saw")
    assert "saw" not in tools and list(tools) == ["hammer"] == list(tools.names())


def test_functions_take_their_options_from_the_registration():
    class Rows(Settings):
        rows: int = 2

    registry = Registry("table")
    registry.register("square", Rows)(lambda rows, columns: (rows, columns))
    assert registry.make({"kind": "square", "rows": 4}, columns=5) == (4, 5)
    assert registry.options("square") is Rows
    assert registry["square"](rows=1, columns=1) == (1, 1)


def test_fields_of_documents_are_validated_when_read(tools):
    class Box(Settings):
        tool: tools.field() = "saw"
        made: tools.made_field() = Field(default_factory=lambda: tools.make("hammer"))

    box = parse_settings(Box, {"tool": {"kind": "saw", "size": 2}, "made": "saw"}, "box")
    assert box.tool == {"kind": "saw", "size": 2} and isinstance(box.made, Saw)
    for field in ("tool", "made"):
        with pytest.raises(ValueError, match=r"box: .*'sow' is unknown; did you mean 'saw'"):
            parse_settings(Box, {field: "sow"}, "box")
        with pytest.raises(ValueError, match="expected a name or a mapping"):
            parse_settings(Box, {field: 3}, "box")
