import math

import pytest

from llamatop.text import formatting as f


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (f.number(None), "N/A"),
        (f.number(math.nan), "N/A"),
        (f.number(math.inf), "N/A"),
        (f.number(0), "0"),
        (f.number(0.01234), "0.0123"),
        (f.number(12.34), "12.3"),
        (f.number(1234.5), "1,234"),
        (f.size(None), "N/A"),
        (f.size(0), "0 B"),
        (f.size(999), "999 B"),
        (f.size(340_000_000), "340 MB"),
        (f.size(16_060_522_496), "16.1 GB"),
        (f.count(8_030_261_248), "8.03B"),
        (f.count(134_515_008), "135M"),
        (f.duration(None), "N/A"),
        (f.duration(0), "0 s"),
        (f.duration(0.00085), "850 µs"),
        (f.duration(0.0123), "12.3 ms"),
        (f.duration(1.234), "1.23 s"),
        (f.duration(125), "2:05"),
        (f.clock(3723), "1:02:03"),
        (f.percent(0.314), "31 %"),
        (f.percent(0.0017), "0.2 %"),
        (f.percent(0.00001), "<0.1 %"),
        (f.percent(0.0), "0 %"),
        (f.percent(None), "N/A"),
        (f.minus("-47.3 % … +1.2 %, of A-3 (-5.0%)"), "\u221247.3 % … +1.2 %, of A-3 (\u22125.0%)"),
        (f.minus("2026-11-05 --tui - 3"), "2026-11-05 --tui - 3"),
    ],
)
def test_examples(shown: str, expected: str) -> None:
    assert shown == expected
