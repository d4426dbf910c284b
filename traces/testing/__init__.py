"""Test batteries for trace formats, models of availability and requests, and forecasts of anybody's own.

Our own tests run them on all that is built in. Each raises AssertionError that says which promise is broken:

    from frugalfl.traces.formats import Format
    from frugalfl.traces.formats.availability import AVAILABILITY_FORMATS
    from frugalfl.traces.testing import check_availability_model, check_forecast, check_trace_format

    MINE = Format("mine", recognises, read)
    AVAILABILITY_FORMATS.add(MINE)

    def test_my_format():
        check_trace_format(MINE, "tests/example.mine")

    def test_my_model():
        check_availability_model({"kind": "my_package.models:Shifts", "hours": 8})
        check_forecast("my_package.forecasts:Yesterday")
"""

from __future__ import annotations

from .damage import damaged, refusal
from .forecasts import check_forecast
from .formats import check_trace_format
from .models import check_arrival_model, check_availability_model

__all__ = [
    "check_arrival_model",
    "check_availability_model",
    "check_forecast",
    "check_trace_format",
    "damaged",
    "refusal",
]
