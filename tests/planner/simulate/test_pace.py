"""A device's pace, as it was measured."""

import pytest

from motet.errors import ConfigError
from motet.planner.simulate.pace import Pace, read_pace


@pytest.mark.parametrize(
    ("text", "said"), [("{", "JSON"), ('{"start": 1}', "start"), ('{"load_rate": 0}', "load_rate")]
)
def test_bad_calibrations_say_what(tmp_path, text, said):
    (tmp_path / "pace.json").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_pace(tmp_path / "pace.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pace(tmp_path / "absent.json")


def test_what_a_file_leaves_out_is_a_gpus(tmp_path):
    (tmp_path / "pace.json").write_text('{"start_s": 1, "load_rate": 2e9}')
    pace = read_pace(tmp_path / "pace.json")
    assert pace.load_s(4 * 10**9) == 3.0 and pace.unload_s == Pace().unload_s
