"""PNG files: another reader finds the same pixels in them."""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from llamatop.reports.charts.png import png

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4))


@given(arrays(np.uint8, SHAPES))
def test_a_reader_finds_the_pixels_and_what_is_told(pixels):
    with Image.open(io.BytesIO(png(pixels, 200, {"Software": "llamatop"}))) as image:
        image.load()
        assert np.array_equal(np.asarray(image), pixels[..., :3])
        assert image.info["Software"] == "llamatop"
        assert (
            image.info["dpi"][0] == image.info["dpi"][1] and abs(image.info["dpi"][0] - 200) < 0.1
        )
