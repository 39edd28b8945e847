"""The body that creates a batch."""

import pytest

from motet.errors import RequestError
from motet.protocol.batches import BatchBody

BODY = {"input_file_id": "f", "endpoint": "/v1/completions"}


@pytest.mark.parametrize(("window", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400)])
def test_a_window_is_a_time(window, seconds):
    assert BatchBody(**BODY, completion_window=window).window_s == seconds


@pytest.mark.parametrize("window", ["0s", "1d", "24", "-1h", "1.5h", "100000h", " 1h", ""])
def test_what_is_no_time_is_refused(window):
    text = f'{{"input_file_id": "f", "endpoint": "e", "completion_window": "{window}"}}'
    with pytest.raises(RequestError, match="completion_window"):
        BatchBody.read(text.encode())
