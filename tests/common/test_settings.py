"""Settings: strict, frozen, and complaints of one line that name field, value and expectation."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from frugalfl.common.settings import Settings, parse_settings, split_spec
from frugalfl.common.spelling import suggest


class Part(Settings):
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    kind: Literal["round", "square"] = "round"


class Whole(Settings):
    part: Part = Part()
    parts: tuple[Part, ...] = ()
    size: float | Literal["actual"] = 1.0

    @model_validator(mode="after")
    def _fits(self):
        if self.part.share > 0.9 and self.parts:
            raise ValueError(f"part.share: {self.part.share}, expected at most 0.9 beside other parts")
        return self


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prat": 1}, "it: prat: unknown field; did you mean 'part'? known: part, parts, size"),
        ({"part": {"shore": 1}}, "it: part.shore: unknown field; did you mean 'share'? known: kind, share"),
        ({"part": {"share": 2}}, "it: part.share: 2, expected less than or equal to 1"),
        ({"part": {"kind": "oval"}}, "it: part.kind: 'oval', expected 'round' or 'square'"),
        ({"parts": [{"share": -1}]}, "it: parts.0.share: -1, expected greater than or equal to 0"),
        ({"part": {"share": True}}, "it: part.share: True, expected a number"),
        ({"size": False}, "it: size: False, expected a number"),
        ({"part": {"share": float("nan")}}, "it: part.share: nan, expected a finite number"),
        (
            {"part": {"share": 1}, "parts": [{}]},
            "it: part.share: 1.0, expected at most 0.9 beside other parts",
        ),
        (
            {"size": "acttual"},
            "it: size: 'acttual', expected a valid number or 'actual'",
        ),
    ],
)
def test_a_complaint_is_one_line(values, message):
    with pytest.raises(ValueError) as caught:
        parse_settings(Whole, values, "it")
    said = str(caught.value)
    assert "\n" not in said and said.startswith(message.rstrip())


def test_a_long_value_is_cut():
    with pytest.raises(ValueError) as caught:
        parse_settings(Part, {"share": "x" * 1000}, "it")
    assert len(str(caught.value)) < 300


def test_settings_cannot_change():
    with pytest.raises(ValidationError):
        Part().share = 0.1


def test_specifications_are_a_name_or_a_mapping():
    assert split_spec("iid", "partition") == ("iid", {})
    assert split_spec({"kind": "dirichlet", "alpha": 1}, "partition") == ("dirichlet", {"alpha": 1})
    with pytest.raises(ValueError, match="partition: 3, expected a name or a mapping with the key 'kind'"):
        split_spec(3, "partition")


def test_suggestions_name_the_closest_and_all():
    assert (
        suggest("volunters", ["phones", "volunteers"])
        == "did you mean 'volunteers'? known: phones, volunteers"
    )
    assert suggest("zzz", ["phones"]) == "known: phones"
