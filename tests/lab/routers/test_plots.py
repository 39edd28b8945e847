"""Pictures of a report, as far as there is something to draw."""

import pytest
from tests.lab.routers.reports import report

from motet.lab.routers import plots


@pytest.mark.parametrize("costs", [True, False])
def test_pictures_are_drawn_for_what_there_is(costs, tmp_path):
    pictures = plots.pictures(report(("only",), costs=costs))
    expected = {"accuracy", "strong_share", "tasks", "calibration", "calls"}
    assert set(pictures) == (expected | {"cost_quality"} if costs else expected)
    assert all(data.startswith(b"\x89PNG") and len(data) > 5000 for data in pictures.values())
    plots.write(pictures, tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "calls.png").read_bytes() == pictures["calls"]
