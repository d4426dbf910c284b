"""Names that users give stand in paths only as the letters of a file name."""

import ast
from pathlib import Path

import frugalfl

ROOT = Path(frugalfl.__file__).parent
PACKAGES = ("common", "envs", "agents", "fl_core", "traces")

GIVEN = (
    "scenario.name",
    "world.name",
    "series.zone",
    "world_name",
    "world",
    "scheduler",
    "label",
    "timeline.scheduler",
)
"""Expressions whose values somebody chose."""


def joins():
    """Every right-hand side of a `/` in the package that has a chosen name in it, with where it stands."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    for path in sorted([*files, *ROOT.glob("*.py")]):
        place = path.relative_to(ROOT)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                for given in chosen(node.right):
                    yield f"{place}:{node.lineno}: {given}"


def chosen(right):
    """The chosen names in the text or the variable on the right of a `/`, but for those in a call."""
    if isinstance(right, ast.JoinedStr):
        parts = [part.value for part in right.values if isinstance(part, ast.FormattedValue)]
    else:
        parts = [right]
    for part in parts:
        text = ast.unparse(part)
        if not isinstance(part, ast.Call) and any(
            text == name or text.endswith(f".{name}") for name in GIVEN
        ):
            yield text


def test_no_chosen_name_is_joined_to_a_path_as_it_is():
    assert list(joins()) == []


def test_the_search_finds_such_joins():
    for line in ("out / scenario.name", 'out / f"{study.scenario.name}.json"', "log / world / 'x'"):
        found = [chosen(node.right) for node in ast.walk(ast.parse(line)) if isinstance(node, ast.BinOp)]
        assert any(list(each) for each in found), line
    call = ast.parse("out / slug(world)").body[0].value
    assert not list(chosen(call.right))
