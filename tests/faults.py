"""`make faults`: the tests that cause each fault of docs/reliability.md, and the table of outcomes.

A plugin of pytest (`-p tests.faults -m fault`). The tests stand where what they test does; here is
which row each belongs to. A row whose tests are not found has failed. What a test measured it tells
by pytest's `record_property("figure", text)`, and stands in the table.

`--rows 1 4 33a` causes some of them. With `--outcomes=FILE` outcomes are kept there, so that parts
run one after another give one table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
EXAMPLES = 2000
"""Of each property, where faults are looked for; the default run has fewer."""

_ROW = re.compile(r"^\| (\d+[a-z]?) \| ((?:[^|\\]|\\.)+) \| ", re.MULTILINE)
WORST = ("failed", "error", "skipped", "passed")
settings.register_profile("faults", max_examples=EXAMPLES, deadline=None)

ROWS: dict[str, tuple[str, ...]] = {
    "1": (
        "recording/test_crash.py::test_a_kill_at_any_instant_takes_at_most_the_last_second",
        "end_to_end/test_record.py::test_kill_loses_at_most_a_second",
        "end_to_end/test_record.py::test_the_children_of_a_killed_run_are_gone_within_a_second",
        "predict/test_child.py::test_it_ends_with_its_parent",
        "predict/test_child.py::test_a_question_that_is_taken_back_ends_its_child",
        "serve/test_leash.py::test_when_the_parent_is_killed_nothing_is_left",
    ),
    "2": (
        "recording/test_journal.py::test_cut_at_any_byte_leaves_a_prefix",
        "recording/test_journal.py::test_with_its_wal_cut_or_flipped_anywhere",
        "recording/test_journal.py::test_cut_beside_a_whole_wal",
        "recording/test_journal.py::test_whatever_befalls_it_an_exact_prefix_is_left",
    ),
    "3": (
        "recording/test_journal.py::test_flipped_bits_leave_a_prefix",
        "recording/test_parquet.py::test_a_flipped_bit_anywhere_is_detected",
        "recording/test_reader.py::test_a_flipped_bit_in_the_first_part_of_a_real_journal",
    ),
    "4": (
        "recording/test_writer.py::test_a_full_disk_stops_the_recording_only",
        "end_to_end/test_record.py::test_a_full_disk_is_told_with_the_recording_that_stopped",
        "engines/test_offload.py::test_a_full_disk_is_told_before_anything_is_written",
    ),
    "5": (
        "recording/test_writer.py::test_a_limit_on_file_sizes_stops_the_recording_only",
        "end_to_end/test_record.py::test_a_recording_that_was_cut_off_says_so_in_the_summary_too",
    ),
    "6": (
        "recording/test_writer.py::test_an_unwritable_folder_is_refused_at_once",
        "recording/test_writer.py::test_a_folder_removed_in_the_middle_stops_the_recording_only",
    ),
    "7": (
        "recording/test_writer.py::test_nothing_that_exists_is_overwritten",
        "recording/test_writer.py::test_a_second_recorder_is_refused",
        "recording/test_writer.py::test_a_name_taken_during_the_run_is_not_overwritten",
        "end_to_end/test_bad_input.py::test_nothing_is_overwritten",
    ),
    "8": (
        "recording/test_crash.py::test_a_kill_at_each_step_of_finalising_leaves_one_whole_recording",
        "recording/test_crash.py::test_a_kill_at_each_step_of_recovering_leaves_one_whole_recording",
    ),
    "9": (
        "recording/test_parquet.py::test_cut_anywhere_is_one_line",
        "end_to_end/test_bad_input.py::test_no_recording",
    ),
    "10": (
        "recording/test_parquet.py::test_damaged_within_is_refused",
        "recording/test_writer.py::test_a_panic_of_polars_stops_the_recording_only",
    ),
    "11": (
        "recording/test_parquet.py::test_few_bytes_that_claim_many_rows_are_refused_before_decoding",
        "recording/test_parquet.py::test_few_bytes_that_claim_long_texts_are_refused_before_decoding",
        "recording/test_parquet.py::test_one_long_text_under_many_rows_is_refused",
    ),
    "12": (
        "recording/test_parquet.py::test_missing_columns_are_named",
        "recording/test_parquet.py::test_a_schema_that_cannot_be_read_is_named",
        "recording/test_reader.py::test_a_journal_of_a_newer_version_is_left_alone",
    ),
    "13": (
        "recording/test_parquet.py::test_times_that_go_backwards_stay_and_those_below_zero_are_left_out",
        "recording/test_bounds.py::test_times_that_run_backwards_give_no_negative_latency",
        "session/test_any_order.py::test_what_runs_tell_in_any_order",
    ),
    "14": (
        "recording/test_writer.py::test_names_that_cannot_be_recorded_to_are_one_line",
        "recording/test_reader.py::test_names_are_taken_as_they_are",
        "end_to_end/test_bad_input.py::test_names_of_files_give_a_terminal_no_orders",
    ),
    "15": (
        "tui/test_hostile.py::test_hostile_text_changes_nothing",
        "events/test_sanitize.py::test_nothing_a_terminal_obeys_is_left",
    ),
    "16": (
        "tui/test_hostile.py::test_hostile_text_changes_nothing",
        "tui/test_hostile.py::test_what_is_typed_into_the_filter_is_literal",
        "tui/start/test_screen.py::test_hostile_names_are_shown_and_change_nothing",
        "tui/compare/test_screen.py::test_hostile_names_are_data",
    ),
    "17": (
        "engines/test_detokenize.py::test_a_character_waits_until_it_is_whole",
        "engines/test_detokenize.py::test_half_characters_do_not_pile_up",
        "recording/test_schema.py::test_lone_surrogates_are_replaced",
        "events/test_sanitize.py::test_cleaning_twice_is_cleaning_once",
    ),
    "18": (
        "events/test_sanitize.py::test_every_string_of_an_event",
        "predict/test_check.py::test_a_name_cannot_steer_the_terminal",
    ),
    "19": (
        "end_to_end/test_screen.py::test_a_signal_leaves_the_terminal_as_it_was",
        "end_to_end/test_screen.py::test_a_vanished_terminal_ends_it_in_good_order",
        "end_to_end/test_record.py::test_a_signal_finalises",
        "end_to_end/test_record.py::test_a_signal_while_it_finalises_leaves_the_recording_whole",
        "run/test_headless.py::test_a_second_signal_ends_a_process_that_hangs",
    ),
    "20": (
        "end_to_end/test_screen.py::test_it_leaves_while_it_loads",
        "end_to_end/test_screen.py::test_whatever_ends_it_the_terminal_comes_back_and_the_recording_stays",
        "run/test_live.py::test_a_run_that_is_closed_ends_what_was_to_be_foretold_of_it",
    ),
    "21": (
        "run/test_live.py::test_a_killed_engine_fails_its_level_and_the_next_one_runs",
        "run/test_live.py::test_the_kernels_kill_is_a_result_and_the_sweep_closes_in",
        "end_to_end/test_screen.py::test_a_killed_engine_is_told_and_the_screen_lives",
        "end_to_end/test_record.py::test_a_killed_engine_is_told_and_kept",
    ),
    "22": (
        "run/test_live.py::test_an_engine_in_which_something_breaks_is_lost_and_says_why",
        "run/test_live.py::test_what_breaks_while_an_engine_is_read_ends_it_and_is_told",
        "engines/test_torch_engines.py::test_an_error_fails_its_requests_and_the_rest_goes_on",
        "servers/test_rules.py::test_a_process_that_sends_nonsense_costs_its_requests",
        "recording/test_follower.py::test_what_breaks_while_it_is_read_ends_the_following",
    ),
    "23": (
        "end_to_end/test_record.py::test_verbose_tells_of_each_request_and_what_libraries_print",
        "engines/test_loading.py::test_nothing_is_printed",
        "end_to_end/test_screen.py::test_what_libraries_write_goes_beside_the_screen",
    ),
    "24": ("end_to_end/test_bad_input.py::test_the_screen_needs_a_terminal",),
    "25": ("end_to_end/test_record.py::test_a_summary_that_goes_nowhere",),
    "26": (
        "tui/test_sizes.py::test_the_screen_survives_any_size",
        "tui/start/test_screen.py::test_any_size_survives",
        "tui/compare/test_screen.py::test_any_size_survives",
    ),
    "27": (
        "end_to_end/test_screen.py::test_a_dumb_terminal_gets_a_screen_without_colours",
        "end_to_end/test_screen.py::test_a_dumb_terminal_gets_no_escapes_of_a_command",
        "end_to_end/test_record.py::test_a_terminal_that_cannot_spell_it",
        "tui/drawing/test_plain.py::test_the_whole_screen_is_legible_in_ascii",
    ),
    "28": (
        "hardware/test_nvidia.py::test_a_gpu_that_is_lost_keeps_its_row_with_nothing_known",
        "hardware/test_nvidia.py::test_a_gpu_that_fails_costs_its_figures_alone",
        "hardware/test_nvidia.py::test_what_a_driver_does_not_tell_is_unknown",
        "hardware/test_nvidia.py::test_a_binding_without_either_name_knows_nothing",
    ),
    "29": (
        "engines/test_resolve.py::test_weights_cut_anywhere",
        "engines/test_resolve.py::test_pickled_weights_are_not_opened",
        "engines/test_loading.py::test_damaged_weights_of_the_right_size",
        "engines/test_lacking.py::test_a_tokenizer_that_is_cut_short_anywhere_is_never_taken",
        "end_to_end/test_bad_input.py::test_a_tokenizer_that_is_damaged_is_named",
    ),
    "30": (
        "reports/test_terminal.py::test_what_was_not_measured_has_no_chart",
        "session/test_any_order.py::test_any_events_whose_numbers_can_be",
    ),
    "31": (
        "engines/test_hub.py::test_refusals",
        "engines/test_hub.py::test_a_download_that_is_refused_is_not_tried_again_and_again",
        "engines/test_hub.py::test_a_gated_model_without_access",
        "engines/test_hub.py::test_no_network",
        "engines/test_hub.py::test_offline_by_choice",
        "end_to_end/test_hub.py::test_a_refusal_is_one_line_soon",
        "end_to_end/test_hub.py::test_a_hub_that_is_not_there",
    ),
    "32": (
        "servers/test_rules.py::test_a_key_is_sent_and_never_told",
        "servers/test_command_line.py::test_a_key_is_sent_and_stands_nowhere",
        "watch/test_watching.py::test_a_key_is_sent_to_the_server_and_not_where_it_leads",
        "reports/test_doctor.py::test_it_looks_at_everything_and_tells_no_secret",
    ),
    "33": (
        "servers/test_replayed.py::test_garbage_is_a_failure_in_one_line",
        "servers/test_command_line.py::test_a_killed_server_costs_what_was_in_flight_and_nothing_measured",
        "servers/test_streams.py::test_an_event_without_end_is_an_error_and_not_memory",
    ),
    "33a": (
        "servers/test_rules.py::test_rule_13_fields_that_are_refused_are_left_out_and_remembered",
        "servers/test_streams.py::test_rule_3_tokens_are_counted_by_the_surest",
    ),
    "34": (
        "tui/drawing/test_themes.py::test_a_bad_theme_is_told_in_one_line_that_names_the_key",
        "tui/drawing/test_themes.py::test_a_bad_theme_leaves_the_default_unless_it_is_wanted",
    ),
    "35": (
        "end_to_end/test_bad_input.py::test_bad_settings",
        "engines/test_resolve.py::test_too_many_tokens_for_the_context",
        "predict/test_memory.py::test_an_encoder_is_refused_in_one_line",
    ),
    "36": ("events/test_clock.py::test_the_clock_is_not_the_one_that_people_set",),
    "37": (
        "recording/test_bounds.py::test_absurd_files_are_left_out_or_refused_in_bounded_memory",
        "recording/test_bounds.py::test_more_tokens_than_the_events_can_stand_for_are_refused",
    ),
    "38": (
        "end_to_end/test_bad_input.py::test_too_little_address_space_is_told_before_anything_begins",
    ),
    "39": ("recording/test_released.py::test_what_was_released_opens_for_ever",),
    "40": (
        "fuzz/test_short.py::test_a_clean_error_or_an_answer",
        "servers/test_streams.py::test_bytes_that_are_no_stream_are_cut_alike_too",
    ),
    "41": (
        "recording/test_reader.py::test_files_that_are_no_recordings_are_one_line",
        "settings/test_prompt_file.py::test_a_device_is_refused_and_a_pipe_is_read",
        "tui/drawing/test_themes.py::test_a_pipe_among_the_themes_keeps_nobody_waiting",
        "tui/start/test_scan.py::test_the_newest_recording_comes_first_and_damaged_ones_are_listed",
        "engines/test_resolve.py::test_a_description_that_is_a_pipe_or_without_end",
        "end_to_end/test_bad_input.py::test_a_pipe_in_place_of_a_recording_keeps_nobody_waiting",
    ),
    "42": ("figures/test_between.py::test_a_request_whose_times_are_not_in_order_has_no_parts",),
    "43": ("end_to_end/test_bad_input.py::test_what_the_shell_left_too_little_of_is_one_line",),
}
"""By the number of a row, its tests."""


@dataclass
class Outcome:
    """What came of a test, all its cases together."""

    outcomes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)
    cases: int = 0

    def add(self, report: pytest.TestReport) -> None:
        """One more phase of one of its cases."""
        self.seconds += report.duration
        if report.when == "call":
            self.cases += 1
        if report.when == "call" or report.outcome != "passed":
            broken = report.failed and report.when != "call"
            self.outcomes.append("error" if broken else report.outcome)
        if report.when == "teardown":
            self.figures += [str(told) for name, told in report.user_properties if name == "figure"]


_told: dict[str, Outcome] = {}


def rows_of(page: Path) -> list[tuple[str, str]]:
    """The number of each row of the list, and its fault."""
    text = page.read_text(encoding="utf-8")
    return _ROW.findall(text.partition("## The list")[2].partition("\n## ")[0])


def _name(nodeid: str) -> str:
    return nodeid.partition("[")[0].removeprefix("tests/")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", nargs="+", default=[*ROWS], choices=[*ROWS], metavar="ROW")
    parser.addoption("--outcomes", type=Path, metavar="FILE", help="kept from part to part")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault: causes a fault of docs/reliability.md for real")
    kept = config.getoption("--outcomes")
    if kept is not None and kept.exists():
        _told.update({test: Outcome(**one) for test, one in json.loads(kept.read_text()).items()})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    causing = {test for row in config.getoption("--rows") for test in ROWS[row]}
    for test in causing:
        _told.pop(test, None)
    for item in items:
        if _name(item.nodeid) in causing:
            item.add_marker("fault")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _told.setdefault(_name(report.nodeid), Outcome()).add(report)


def outcome_of(row: str) -> str:
    """The worst of its tests, one that did not run included."""
    found = {one for test in ROWS[row] for one in _outcomes_of(test)}
    return next(one for one in WORST if one in found)


def _outcomes_of(test: str) -> Sequence[str]:
    return _told[test].outcomes if test in _told else ["error"]


def _caused(config: pytest.Config) -> list[str]:
    """The rows that were asked for, with `--outcomes` all of which something is known."""
    known = {row for row, tests in ROWS.items() if any(test in _told for test in tests)}
    wanted = {*config.getoption("--rows"), *(known if config.getoption("--outcomes") else ())}
    return [row for row in ROWS if row in wanted]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not _told:
        return
    if (kept := session.config.getoption("--outcomes")) is not None:
        kept.write_text(json.dumps({test: asdict(one) for test, one in _told.items()}, indent=1))
    if any(outcome_of(row) in ("failed", "error") for row in _caused(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    terminalreporter.section("faults")
    terminalreporter.line("| # | outcome | cases | seconds | measured |")
    terminalreporter.line("| --- | --- | --- | --- | --- |")
    for row in _caused(config):
        told = [_told[test] for test in ROWS[row] if test in _told]
        cases, seconds = sum(one.cases for one in told), sum(one.seconds for one in told)
        figures = "; ".join(figure for one in told for figure in one.figures)
        outcome = outcome_of(row)
        terminalreporter.line(f"| {row} | {outcome} | {cases} | {seconds:.1f} | {figures} |")
        for test in ROWS[row] if outcome in ("failed", "error") else ():
            terminalreporter.line(f"{'':4}{test}: {', '.join(sorted({*_outcomes_of(test)}))}")
