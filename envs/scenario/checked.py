"""Types of a scenario's fields that name one of several kinds, checked when the document is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator

from ...common.files import slug
from ...common.settings import Spec
from ...common.spelling import printable
from ...fl_core.aggregation import AGGREGATORS, ATTACKS, COMPRESSIONS
from ...fl_core.data import DATASETS, PARTITIONS
from ...fl_core.models import TRAINABLES, check_model
from ...fl_core.training import TRAINERS
from ...traces.arrivals import check_arrivals
from ...traces.availability import check_availability
from ...traces.carbon import check_carbon
from ...traces.devices import check_devices

S = TypeVar("S")

_LONGEST_NAME = 100


def _checked(what: str, check: Callable[[S], object]) -> AfterValidator:
    """A validator that leaves the value as it is; complaints about settings begin with their full path.

    Args:
        what: the field.
        check: raises a ValueError of one line, without reading a file.
    """

    def validated(value: S) -> S:
        try:
            check(value)
        except ValueError as error:
            raise ValueError(re.sub(rf"^{what} '[^']*': (?=[\w.]+: )", f"{what}.", str(error))) from None
        return value

    return AfterValidator(validated)


def _is_file_name(name: str) -> str:
    if not name or len(name) > _LONGEST_NAME or slug(name) != name:
        raise ValueError(
            f"{printable(name)!r}, expected 1 to {_LONGEST_NAME} letters, digits, '-', '_' and '.', "
            "not a '.' first, since files bear the name"
        )
    return name


FileName: TypeAlias = Annotated[str, AfterValidator(_is_file_name)]
AvailabilityField: TypeAlias = Annotated[Spec, _checked("availability", check_availability)]
ArrivalsField: TypeAlias = Annotated[Spec, _checked("arrivals", check_arrivals)]
CarbonField: TypeAlias = Annotated[list[str] | Spec, _checked("carbon", check_carbon)]
DevicesField: TypeAlias = Annotated[Spec, _checked("devices", check_devices)]
DatasetField: TypeAlias = Annotated[Spec, _checked("dataset", DATASETS.choose)]
PartitionField: TypeAlias = Annotated[Spec, _checked("partition", PARTITIONS.choose)]
ModelField: TypeAlias = Annotated[Spec, _checked("model", check_model)]
TrainableField: TypeAlias = Annotated[Spec, _checked("trainable", TRAINABLES.choose)]
TrainerField: TypeAlias = Annotated[Spec, _checked("trainer", TRAINERS.choose)]
AggregatorField: TypeAlias = Annotated[Spec, _checked("aggregator", AGGREGATORS.choose)]
CompressionField: TypeAlias = Annotated[Spec, _checked("compression", COMPRESSIONS.choose)]
AttackField: TypeAlias = Annotated[Spec, _checked("attack", ATTACKS.choose)]
