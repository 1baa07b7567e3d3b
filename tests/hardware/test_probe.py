"""What the probe says of how busy processes are."""

import psutil

from llamatop.hardware.probe import _Busy


def test_the_first_sample_of_a_process_is_not_known() -> None:
    busy = _Busy(psutil.Process())
    assert busy.percent() is None
    assert busy.percent() is not None
