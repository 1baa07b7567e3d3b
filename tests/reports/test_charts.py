import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import LineCollection
from matplotlib.image import imread
from matplotlib.transforms import Bbox

from llamatop.engines.scripted import Script
from llamatop.errors import InputError
from llamatop.events.clock import SECOND
from llamatop.events.kinds import DeviceAllocated, DeviceSampled, Event, LevelEnded, ModelLoaded
from llamatop.figures.contention import Contention
from llamatop.reports.charts.files import CHARTS, SLIDE, write
from llamatop.reports.charts.fonts import inches
from llamatop.reports.charts.histogram import gaps
from llamatop.reports.charts.paper import Sheet
from llamatop.reports.charts.plans import plans, spread
from llamatop.reports.charts.theme import DARK, LIGHT
from llamatop.reports.charts.timeline import in_flight, memory, rates
from llamatop.reports.charts.wrap import fitting, printable, wrapped
from llamatop.reports.compare import compare
from llamatop.reports.page import page
from llamatop.reports.runs import Run, facts, labels, run_of, short, with_targets
from llamatop.run.replay import fold
from llamatop.text.formatting import duration
from tests.reports.samples import (
    chart,
    drawn,
    events,
    run,
    stretched,
    with_config,
    with_memory,
    with_model,
)

EVIL = "$x^2$ <b>&\x1b[31m [@click=x] \ud800\ufffe" + "W" * 300


def sample(concurrency: tuple[int, ...], model: str = "demo", **options: object) -> Run:
    return run_of(fold(with_memory(with_model(events(concurrency), model), **options)), "sample")  # type: ignore[arg-type]


@cache
def single() -> list[Run]:
    return [sample((4,))]


@cache
def twenty() -> list[Run]:
    return [sample(tuple(range(1, 21)), oom=(19, 20))]


@cache
def several() -> list[Run]:
    return [sample((1, 2, 4, 8), name) for name in ("a/model", "another", EVIL)]


@cache
def many() -> list[Run]:
    return [sample((1, 2, 4), f"organisation/a-model-of-some-name-{i}") for i in range(11)]


@cache
def crowd() -> list[Run]:
    name = f"organisation/a-model-{'of-some-name-' * 4}"
    return [sample((1, 2), f"{name}{i}") for i in range(40)]


def test_files_are_named_for_what_they_show(tmp_path: Path) -> None:
    written = write(single(), tmp_path / "new" / "charts", themes=("light", "dark"))
    names = {path.name for path in written.files}
    assert {"memory-vs-concurrency.png", "throughput-vs-concurrency.svg"} <= names
    assert "memory-vs-concurrency-dark.png" in names
    told = dict(written.left_out)
    assert told.keys() == {"mbu-vs-concurrency", "goodput-vs-concurrency"}
    assert told["mbu-vs-concurrency"] == "not measured"
    assert sorted(p.name for p in (tmp_path / "new" / "charts").iterdir()) == sorted(names)
    assert imread(tmp_path / "new/charts/run-over-time.png").shape[:2] == (1000, 1600)


def test_small_files(tmp_path: Path) -> None:
    write(single(), tmp_path, kinds=("png",), size=(800, 500))
    assert imread(tmp_path / "run-over-time.png").shape[:2] == (500, 800)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(single(), tmp_path / "file" / "charts")


FLAT = (1600, 720)


def sheets(runs: list[Run], size: tuple[int, int] = SLIDE) -> list[Sheet]:
    return [sheet for sheet in drawn(runs, size).values() if isinstance(sheet, Sheet)]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    ("runs", "size"),
    [
        (single, SLIDE), (several, SLIDE), (many, SLIDE), (twenty, FLAT), (crowd, FLAT),
        *(pytest.param(*other, marks=pytest.mark.slow) for other in (
            (single, FLAT), (several, FLAT), (many, FLAT), (twenty, SLIDE), (crowd, SLIDE))),
    ],
    ids=lambda given: getattr(given, "__name__", f"{given}"),
)  # fmt: skip
def test_nothing_overlaps_and_nothing_is_clipped(
    runs: Callable[[], list[Run]], size: tuple[int, int]
) -> None:
    for sheet in sheets(runs(), size):
        sheet.svg()
        renderer = sheet.figure.canvas.get_renderer()  # type: ignore[attr-defined]
        width, height = sheet.figure.bbox.size
        axes = [one.get_tightbbox(renderer) for one in sheet.figure.axes]
        texts = [text.get_window_extent(renderer) for text in sheet.figure.texts]
        for box in [
            *axes,
            *texts,
            *(one.get_window_extent(renderer) for one in sheet.figure.legends),
        ]:
            assert box.x0 >= -1 and box.y0 >= -1, sheet.title
            assert box.x1 <= width + 1 and box.y1 <= height + 1, sheet.title
        for legend in sheet.figure.legends:
            area = legend.get_window_extent(renderer)
            assert not any(area.overlaps(box) for box in axes), sheet.title
            assert not any(area.overlaps(box) for box in texts[:2]), sheet.title
        for one in sheet.figure.axes:
            spots = sorted(seen(one.xaxis, renderer), key=lambda box: box.x0)
            assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(spots)), sheet.title
            spots = sorted(seen(one.yaxis, renderer), key=lambda box: box.y0)
            assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(spots)), sheet.title
        if sheet.title == "Time between tokens":
            assert all(one.get_position().height * sheet.height >= 0.2 for one in sheet.figure.axes)


def seen(axis: Axis, renderer: RendererBase) -> list[Bbox]:
    """Where the labels stand of those ticks that are within the axes."""
    low, high = sorted(axis.get_view_interval())
    told = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    told = [label for label in told if label.get_visible() and label.get_text()]
    return [label.get_window_extent(renderer) for label in told]


def test_text_is_data() -> None:
    texts = [sheet.svg() for sheet in sheets(several())]
    for text in texts:
        ElementTree.fromstring(text)
        assert "\x1b" not in text
    assert "$x^2$ &lt;b&gt;&amp;" in texts[0]


def test_series_survive_greyscale() -> None:
    """Neighbouring series differ in marker and line, and colours in lightness from the paper."""
    for theme in (LIGHT, DARK):
        sheet = Sheet(theme, 5.0, "t", "s", [])
        looks = [sheet.style(i) for i in range(8)]
        assert len({(str(look.line), look.marker) for look in looks}) == 8
        paper = lightness(theme.paper)
        assert all(abs(lightness(color) - paper) > 0.3 for color in theme.series)


def lightness(color: str) -> float:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_charts_of_nothing(tmp_path: Path) -> None:
    """Whatever a cut-off recording holds, a chart is drawn or the reason told."""
    made = events((2,))
    for end in (0, 1, 3, 6, 12, 40, len(made) - 1):
        cut = run_of(fold(made[:end]))
        for name, sheet in drawn([cut]).items():
            assert name in CHARTS
            if isinstance(sheet, Sheet):
                sheet.svg()


def test_traces_over_time() -> None:
    one = run((2,))
    times, running = in_flight(one, 0)
    assert running.max() == 2
    assert running[-1] == 0
    assert (times[1:] > times[:-1]).all()
    _, tokens = rates(one, 0)
    assert tokens.max() > 0
    _, held = memory(one, 0)
    assert held.max() < 1e9


def test_of_an_open_loop_levels_stand_at_what_was_in_flight() -> None:
    """40 arrive at once where 64 may run: 40 are in flight, and their axis says so."""
    made = with_config(events((64,), requests=40), rate=2.5)
    sheet = chart("throughput-vs-concurrency", run_of(fold(made)))
    (axes,) = sheet.figure.axes
    assert axes.lines[0].get_xdata()[0] == pytest.approx(40, rel=0.01)
    assert axes.get_xlabel() == "requests in flight, mean"
    assert sheet.title == "Throughput vs requests in flight"
    closed = chart("throughput-vs-concurrency", run((2, 4)))
    assert list(closed.figure.axes[0].lines[0].get_xdata()) == [2, 4]
    assert closed.title == "Throughput vs concurrency"


def test_a_warm_up_takes_no_part_of_the_time_axis() -> None:
    made = run((8,))
    (level,) = made.session.levels.values()
    first = level.requests[0].scheduled
    for one, begin in ((chart("run-over-time", made), first / SECOND),
                       (chart("run-over-time", made, run((4,))), 0)):  # fmt: skip
        assert all(axes.get_xlim()[0] == pytest.approx(begin) for axes in one.figure.axes)
    assert first > level.started, "there was a warm-up"


def test_memory_over_time_is_what_the_peaks_are_of() -> None:
    made = events((2,))
    made[-1:-1] = [DeviceAllocated(made[-1].time, 0, 5_000, 9_000)]
    assert memory(run_of(fold(made)), 0)[1].max() == 5_000
    sheet = chart("run-over-time", run_of(fold(made)))
    assert sheet.figure.axes[2].get_ylabel() == "allocated (kB)"


def test_legends_name_what_differs() -> None:
    assert labels([run(model="a"), run(model="b")]) == ["a", "b"]
    assert labels([run(seed=1), run(seed=2)]) == ["seed 1", "seed 2"]
    assert len(set(labels([run(name="x"), run(name="x")]))) == 2
    assert all(len(label) <= 45 for label in labels(several()))


def test_legends_tell_no_more_than_tells_apart() -> None:
    runs = [run(model="org/a", seed=1), run(model="org/a", seed=2), run(model="org/b", seed=3)]
    assert labels(runs) == ["a, seed 1", "a, seed 2", "b"]
    assert labels([run(model="one/a"), run(model="two/a")]) == ["one/a", "two/a"]


def test_goodput_is_counted_by_the_targets() -> None:
    one = with_targets(run((1, 4)), {"e2e": 1e-3})
    assert [figures.goodput for figures in one.figures] == [0, 0]
    easy = with_targets(run((1, 4)), {"e2e": 1e3, "ttft": 1e3})
    assert [f.goodput for f in easy.figures] == [f.request_rate for f in easy.figures]
    sheet = chart("goodput-vs-concurrency", easy)
    assert "E2E ≤ 16:40" in sheet.subtitle and "TTFT" in sheet.subtitle
    assert run((1,)).figures[0].goodput is None


@pytest.mark.filterwarnings("ignore:Glyph")
def test_values_far_apart_are_all_seen() -> None:
    """On one linear scale the quick run's latencies would lie at the foot."""
    slow = run_of(fold(stretched(events((1, 2, 4)), 200)), "slow")
    for name in ("latency-vs-concurrency", "latency-vs-throughput"):
        sheet = chart(name, run((1, 2, 4)), slow)
        assert all(axes.get_yscale() == "log" for axes in sheet.figure.axes)
        alone = chart(name, slow)
        assert all(axes.get_ylim()[0] == 0 for axes in alone.figure.axes)


def test_captions_hold_the_facts() -> None:
    told = " ".join(facts(*twenty()))
    assert "demo" in told
    assert "128 tokens in" in told
    lines = wrapped(
        [EVIL, *facts(*single()), *["word" * 9] * 60], lambda text: inches(text, 7.5), 7.4
    )
    assert len(lines) <= 4
    assert all(inches(line, 7.5) <= 7.4 for line in lines)


def test_a_caption_tells_of_other_processes_once_and_whole() -> None:
    one = run((1, 2, 4))
    taken = [Contention(cores, 1.0, wanting=1.0) for cores in (0.5, 1.5, 1.0)]
    told = [replace(level, contention=c) for level, c in zip(one.figures, taken, strict=True)]
    (fact,) = [text for text in facts(replace(one, told=told)) if "processes" in text]
    assert fact.startswith("at concurrency 2 other processes took 1.5 cores, the engine had 1.0")
    assert fact.endswith("; 2 other levels too")
    assert fact in " ".join(wrapped([fact], lambda text: inches(text, 7.5), 7.4))


def test_texts_are_cut_in_the_middle() -> None:
    assert short("abcdefghij", 5) == "ab…ij"
    assert len(short("x" * 300)) == 40
    assert fitting("W" * 500, len, 10) == "W" * 5 + "…" + "W" * 4
    assert printable("a\nb\ufffe\x00") == "a b\ufffd␀"


def test_the_page_stands_alone() -> None:
    text = page(several(), [compare(*several()[:2])])
    assert text.count("<figure>") == 7
    assert "<b>&\x1b" not in text
    assert "<script" not in text
    for link in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert link.startswith("#"), link
    assert not re.findall(r"url\((?!#)", text)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert "undecided" in text
    assert "mbu-vs-concurrency (not measured)" in text
    assert "prefers-color-scheme: dark" in text
    assert LIGHT.series[0] not in text.split("</style>")[1], "colours are variables"


def on_a_device(of: list[Event]) -> Run:
    told: list[Event] = []
    for event in of:
        now = event
        if isinstance(event, ModelLoaded):
            now = msgspec.structs.replace(event, device="cuda:0", device_name="A GPU")
        if isinstance(event, LevelEnded):
            now = msgspec.structs.replace(event, device_peak_bytes=7_000_000_000)
            told.append(DeviceAllocated(event.time, 0, 6_000_000_000, 6_500_000_000))
            told.append(DeviceSampled(event.time, 0, "A GPU", 7_000_000_000, 24_000_000_000))
        told.append(now)
    return run_of(fold(told))


def test_memory_of_an_accelerator() -> None:
    one = on_a_device(events((1, 2)))
    sheet = chart("memory-vs-concurrency", one)
    assert "accelerator" in sheet.subtitle
    assert memory(one, 0)[1].max() == 6_000_000_000, "allocated, as its peak is"
    assert "A GPU" in facts(one)


def test_memory_with_and_without_an_accelerator() -> None:
    """Each run has its own; the failed level stands where its memory ended, within the axes."""
    both = [on_a_device(events((1, 2))), sample((1, 2, 4), "host", oom=(4,))]
    for name in ("memory-vs-concurrency", "memory-predicted-vs-measured"):
        sheet = chart(name, *both)
        assert "accelerator" in sheet.subtitle and "process" in sheet.subtitle
        (axes,) = sheet.figure.axes
        highest = [
            max(np.asarray(line.get_ydata(), float)) for line in axes.lines if len(line.get_xdata())
        ]
        assert {7.0, 16.48, 16.86} <= {round(float(value), 2) for value in highest}
        assert max(highest) < axes.get_ylim()[1]


def test_series_that_lie_on_one_another_are_all_seen() -> None:
    """Every series is finer than the one beneath it, and looks like no other."""
    met = with_targets(run((1, 4)), {"e2e": 1e3})
    for name in ("goodput-vs-concurrency", "latency-vs-concurrency"):
        sheet = chart(name, met)
        lines = sheet.figure.axes[-1].lines
        for below, above in itertools.pairwise(lines):
            assert below.get_markersize() > above.get_markersize() + 2
            assert below.get_linewidth() > above.get_linewidth()
    looks = [Sheet(LIGHT, 5.0, "t", "s", []).style(place) for place in range(24)]
    assert len({(look.color, look.marker) for look in looks}) == 24


def test_high_numbers_keep_off_the_label() -> None:
    quick = run_of(fold(stretched(events((1, 2, 4)), 1e-4)), "quick")
    sheet = chart("throughput-vs-concurrency", quick)
    sheet.svg()
    renderer = sheet.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    (axes,) = sheet.figure.axes
    assert axes.get_ylim()[1] > 100_000
    label = axes.yaxis.label.get_window_extent(renderer)
    ticks = [text.get_window_extent(renderer) for text in axes.get_yticklabels()]
    assert ticks and all(label.x1 < box.x0 for box in ticks)


def test_the_histogram_has_room_for_every_row() -> None:
    """Also for a run whose few gaps are longer than nearly all of the other's."""
    slow = run_of(fold(stretched(events((4,), requests=4), 100)), "slow")
    sheet = chart("itl-histogram", run((4,), requests=2000), slow)
    for axes in sheet.figure.axes:
        left, right = axes.get_xlim()
        marks = [
            float(np.asarray(line.get_xdata())[0]) for line in axes.lines if len(line.get_xdata())
        ]
        assert len(marks) == 2 and all(left < mark < right for mark in marks)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_times_that_cannot_be(seed: int) -> None:
    """Damaged times, backwards and negative: a chart, a comparison and a page all the same."""
    random = np.random.default_rng(seed)
    made = [
        msgspec.structs.replace(event, time=int(random.normal(0, 10 ** random.uniform(0, 11))))
        for event in events((1, 3), behaviour=Script(fail_every=5))
    ]
    broken = run_of(fold(made))
    for sheet in drawn([broken, *single()] if seed % 2 else [broken]).values():
        if isinstance(sheet, Sheet):
            sheet.svg()
    compare(broken, *single())
    compare(*single(), broken)
    page([broken], [compare(broken, broken)])


def test_a_crowd_has_its_legend_and_what_is_left_out_is_said() -> None:
    sheet = chart("memory-vs-concurrency", *crowd())
    sheet.svg()
    told = [text.get_text() for text in sheet.figure.legends[0].get_texts()]
    assert len(set(told)) == len(told) < len(crowd())
    assert told[-1] == f"and {len(crowd()) - len(told) + 1} more"
    gaps = "itl-histogram"
    assert "of the first 6 of 40 recordings" in chart(gaps, *crowd()).subtitle
    assert "of 6 of the 20 levels" in chart(gaps, *twenty()).subtitle
    assert "recordings" not in chart(gaps, *several()).subtitle


def test_a_legend_that_all_find_room_in_leaves_none_out() -> None:
    sheet = chart("memory-predicted-vs-measured", *many())
    sheet.svg()
    told = [text.get_text() for text in sheet.figure.legends[0].get_texts()]
    assert told == [*labels(many()), "measured", "predicted", "memory there is"]


@cache
def bound(name: str = "plan") -> tuple[Run, ...]:
    """Three runs of one plan, each slower and of more memory than the one before."""
    return tuple(
        run_of(fold(larger(stretched(with_config(whole, bound=name, repeat=n), 1 + n / 10), n)))
        for whole in [with_memory(events((1, 2, 4)))]
        for n in (1, 2, 3)
    )


def larger(of: list[Event], times: int) -> list[Event]:
    """The same, with peaks so many times as large."""
    return [
        msgspec.structs.replace(event, host_peak_bytes=event.host_peak_bytes * times)
        if isinstance(event, LevelEnded) and event.host_peak_bytes
        else event
        for event in of
    ]


def test_runs_of_one_plan_are_one_line_with_its_range():
    made = bound()
    (plan,) = plans(made)
    assert tuple(plan.runs) == made
    rates = [figures.output_rate for one in made for figures in one.figures if figures.level == 0]
    (first, *_), (band, *_) = spread(
        plan, lambda one: [(f.concurrency, (f.concurrency, f.output_rate)) for f in one.figures]
    )
    assert first == (1, pytest.approx(sum(rates) / 3))
    assert band == (1, min(rates), max(rates))
    assert [len(kind.runs) for kind in plans([*made, run((1, 2))])] == [3, 1]
    for name in ("throughput-vs-concurrency", "memory-vs-concurrency", "latency-vs-throughput"):
        assert "range of a plan's runs" in chart(name, *made).subtitle


def test_the_curve_of_a_plan_goes_through_the_means_and_shows_both_ranges() -> None:
    (axes,) = chart("latency-vs-throughput", *bound()).figure.axes
    rates = [[one.figures[place].output_rate for one in bound()] for place in range(3)]
    *whiskers, line = axes.lines
    assert line.get_xdata() == pytest.approx([sum(found) / 3 for found in rates])
    assert [text.get_text() for text in axes.texts] == ["4", "2", "1"]
    across = [list(one.get_xdata()) for one in whiskers[::2]]
    assert across == [pytest.approx([min(found), max(found)]) for found in rates]


def test_the_gaps_of_a_plan_are_those_of_all_its_runs() -> None:
    sheet = chart("itl-histogram", *bound())
    titles = [axes.get_title(loc="left") for axes in sheet.figure.axes]
    assert [title.split(":")[0] for title in titles] == ["C=1", "C=2", "C=4"]
    middles = [np.median(gaps(one.session.levels[0])) for one in bound()]
    told = f"({duration(min(middles))} to {duration(max(middles))})"
    assert told in titles[0] and "all runs of a plan" in sheet.subtitle
    beside = chart("itl-histogram", *bound(), *bound("other"))
    assert len(beside.figure.axes) == 2


def test_foretold_memory_of_a_plan_is_a_line_and_the_mean_of_its_peaks_another() -> None:
    sheet = chart("memory-predicted-vs-measured", *bound())
    (axes,) = sheet.figure.axes
    peaks = [[one.figures[place].host_peak_bytes for one in bound()] for place in range(3)]
    foretold = [figures.predicted_host_bytes for figures in bound()[0].figures]
    drawn_lines = [line.get_ydata() for line in axes.lines[:2]]
    wanted = [[size / 1e9 for size in foretold], [sum(found) / 3e9 for found in peaks]]
    assert drawn_lines == [pytest.approx(one) for one in wanted]
    (whiskers,) = (kind for kind in axes.collections if isinstance(kind, LineCollection))
    ranges = [ends[:, 1].tolist() for ends in whiskers.get_segments()]
    assert ranges == [pytest.approx([min(found) / 1e9, max(found) / 1e9]) for found in peaks]
