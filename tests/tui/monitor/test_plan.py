import itertools

import pytest

from llamatop.tui.monitor.plan import PANELS, plan

WIDTHS = (1, 2, 5, 20, 39, 40, 60, 71, 72, 80, 100, 120, 160, 200, 500)
HEIGHTS = (1, 2, 3, 4, 5, 8, 11, 12, 14, 16, 18, 20, 24, 30, 36, 50, 60, 200)


@pytest.mark.parametrize("transport", [False, True])
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("maximised", [None, "latency"])
def test_boxes_fill_the_screen_and_never_overlap(transport, maximised, watched):
    for width, height in itertools.product(WIDTHS, HEIGHTS):
        boxes = plan(width, height, transport, maximised, watched)
        taken = [
            (x, y)
            for box in boxes.values()
            for x in range(box.x, box.x + box.width)
            for y in range(box.y, box.y + box.height)
        ]
        assert len(taken) == len(set(taken)) == width * height, (width, height)
        assert all(0 <= x < width and 0 <= y < height for x, y in taken)


def test_no_room_no_boxes():
    assert plan(0, 0, False, None) == {}


@pytest.mark.parametrize("size", [(120, 36), (200, 60)])
def test_all_panels_are_there_on_a_usual_screen(size):
    assert set(PANELS) - {"watched"} <= set(plan(*size, False, None))
    assert set(PANELS) <= set(plan(*size, False, None, watched=True))


def test_a_small_screen_keeps_what_matters():
    assert set(plan(80, 24, False, None)) == {
        *("header", "throughput", "latency", "memory", "requests", "footer")
    }
    assert set(plan(80, 24, False, None, watched=True)) == {
        *("header", "throughput", "latency", "watched", "requests", "footer")
    }


def test_histories_of_one_column_share_their_seconds():
    for width, height in itertools.product(WIDTHS, HEIGHTS):
        for watched in (False, True):
            boxes = plan(width, height, False, None, watched)
            columns = [boxes[n] for n in ("throughput", "watched", "memory") if n in boxes]
            assert len({(box.x, box.width) for box in columns}) <= 1


def test_a_maximised_panel_has_the_body_alone():
    boxes = plan(120, 36, True, "memory")
    assert set(boxes) == {"header", "memory", "transport", "footer"}
