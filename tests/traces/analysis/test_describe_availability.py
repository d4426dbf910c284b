"""What `describe` shows back of an availability file: unit, clock, beginning, span, gaps."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from frugalfl.traces.analysis import print_contents, read_all


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("client,start,end\na,1736121600,1736150400\nb,1736121600,1736294400\n",
         "times as Unix seconds, clock utc, from 2025-01-06T00:00 UTC, span 2 days, 0 unobserved gaps"),
        ("client,start,end\na,0,3600\nb,60,86400\n",
         "times as s, clock none, span 1 days, 0 unobserved gaps"),
        ("# recording,a,0,86400,0\n# recording,a,172800,259200,0\nclient,start,end\na,0,3600\n",
         "times as s, clock none, span 3 days, 1 unobserved gaps"),
    ],
)  # fmt: skip
def test_how_times_were_read(tmp_path, content, says):
    path = tmp_path / "f.csv"
    path.write_text(content)
    out = io.StringIO()
    print_contents(read_all([path])[0], Console(file=out, width=80))
    assert f"f.csv: {says}" in out.getvalue()
