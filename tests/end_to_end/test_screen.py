"""The screen in a real pseudo-terminal, as a person sees it and leaves it."""

import os
import re
import signal
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import psutil
import pyte
import pytest

from tests.waiting import gone, until

from .conftest import LLAMATOP, Llamatop

ROWS, COLUMNS = 36, 120
LEFT_BEHIND = ("\x1b[?1049l", "\x1b[?1000l", "\x1b[?25h")
"""What a program owes its terminal: the normal screen, no mouse, the cursor."""


def _as_a_terminal() -> None:
    """A shell without job control lets what it starts in the background ignore these."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """A pseudo-terminal with llamatop in it, and what it shows."""

    def __init__(self, llamatop: Llamatop, *arguments: str, **env: str) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self.screen)
        self._lines: list[str] | None = None
        self.raw = ""
        self.child = pexpect.spawn(
            LLAMATOP[0],
            [*LLAMATOP[1:], *arguments],
            cwd=llamatop.folder,
            env={**llamatop.env, "TERM": "xterm-256color", **env},
            dimensions=(ROWS, COLUMNS),
            encoding="utf-8",
            timeout=1,
            preexec_fn=_as_a_terminal,
        )

    def read(self) -> None:
        try:
            text = self.child.read_nonblocking(100_000, timeout=0.05)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.raw += text
        self._stream.feed(text)
        self._lines = None

    @property
    def lines(self) -> list[str]:
        """What it shows; spelled out once for each time that something came, as that is dear."""
        if self._lines is None:
            self._lines = self.screen.display
        return self._lines

    def shows(self, pattern: str) -> bool:
        self.read()
        return any(re.search(pattern, line) for line in self.lines)

    def until(self, pattern: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not self.shows(pattern):
            assert time.monotonic() < end, "\n".join(self.screen.display)

    def count(self, pattern: str) -> int:
        """The number in the pattern's group, as it stands on the screen now."""
        self.until(pattern)
        found = re.search(pattern, "\n".join(self.screen.display))
        assert found
        return int(found[1].replace(",", ""))

    def leave(self, how: Callable[[], object]) -> int:
        """Do something that ends it; its exit code, or minus the signal."""
        end = time.monotonic() + 60
        how()
        while self.child.isalive():
            self.read()
            assert time.monotonic() < end, "it does not leave"
        self.read()
        return (
            self.child.exitstatus if self.child.signalstatus is None else -self.child.signalstatus
        )


@pytest.fixture
def terminal(llamatop: Llamatop) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_(*arguments: str, **env: str) -> Terminal:
        opened.append(Terminal(llamatop, *arguments, **env))
        return opened[-1]

    yield open_
    for one in opened:
        one.child.close(force=True)


SCRIPTED = ("--engine", "scripted", "--model", "demo", "--out", "run.parquet")


@pytest.mark.slow  # a run begun from a replay shows the bundled model too; others leave by q
def test_the_bundled_model_answers_and_is_kept(
    terminal: Callable[..., Terminal], llamatop: Llamatop, foretold: Callable[..., None]
) -> None:
    foretold("--model", "demo", "--concurrency", "4")
    one = terminal("--model", "demo", "--concurrency", "4", "--out", "run.parquet")
    one.until(r"\d+/200")
    one.until(r"decode")
    one.until(r"tok/s")
    assert one.leave(lambda: one.child.send("q")) == 0
    for sequence in LEFT_BEHIND:
        assert sequence in one.raw[-2000:]
    summary = llamatop("replay", "run.parquet", "--json").json
    assert summary["complete"] and summary["levels"][0]["outcome"] == "stopped"


def test_a_replay_is_the_same_screen(terminal: Callable[..., Terminal], llamatop: Llamatop) -> None:
    options = ("--requests", "8", "--gen-toks", "20")
    assert llamatop("--record", *SCRIPTED, *options).code == 0
    one = terminal("replay", "run.parquet", "--speed", "8")
    one.until(r"20/20")
    one.until(r"text not recorded")
    assert one.leave(lambda: one.child.send("q")) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_the_terminal_as_it_was(
    terminal: Callable[..., Terminal], llamatop: Llamatop, number: int, code: int
) -> None:
    one = terminal(*SCRIPTED)
    one.until(r"\d+/200")
    assert one.leave(lambda: os.kill(one.child.pid, number)) == code
    for sequence in LEFT_BEHIND:
        assert sequence in one.raw[-2000:]
    assert llamatop("replay", "run.parquet", "--json").json["complete"]


SPEAKS = """
import os, threading, time
from pathlib import Path
def speak():
    while not Path(HERE, "speak").exists():
        time.sleep(0.05)
    os.write(1, b"a library on one\\n")
    os.write(2, b"a library on two\\n")
    Path(HERE, f"spoken-{os.getpid()}").touch()
threading.Thread(target=speak, daemon=True).start()
"""
"""Every process of Python imports this first: a library in it writes past Python's streams."""


@pytest.mark.slow
def test_what_libraries_write_goes_beside_the_screen(
    terminal: Callable[..., Terminal], llamatop: Llamatop
) -> None:
    folder = llamatop.folder
    code = SPEAKS.replace("HERE", repr(str(folder)))
    (folder / "sitecustomize.py").write_text(code)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    one = terminal(*SCRIPTED, "--verbose", PYTHONPATH=os.pathsep.join(paths))
    one.until(r"\d+/200")
    (folder / "speak").touch()
    ours = folder / f"spoken-{one.child.pid}"
    until(lambda: (one.read(), ours.exists() and len([*folder.glob("spoken-*")]) > 2)[1])
    one.until(r"\d+/200")
    assert "a library" not in one.raw
    assert one.leave(lambda: one.child.send("q")) == 0
    _, _, after = one.raw.rpartition(LEFT_BEHIND[0])
    for who in ("llamatop", "engine"):
        assert f"{who}: a library on one" in after
        assert f"{who}: a library on two" in after


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1, signal.SIGSEGV])
def test_whatever_ends_it_the_terminal_comes_back_and_the_recording_stays(
    terminal: Callable[..., Terminal], llamatop: Llamatop, number: int
) -> None:
    one = terminal(*SCRIPTED)
    cooked = termios.ECHO | termios.ICANON | termios.ISIG
    one.until(r"\d+/200")
    assert not termios.tcgetattr(one.child.child_fd)[3] & termios.ICANON
    assert one.leave(lambda: os.kill(one.child.pid, number)) == -number

    def given_back() -> bool:
        one.read()
        modes = termios.tcgetattr(one.child.child_fd)[3]
        return modes & cooked == cooked and all(off in one.raw[-2000:] for off in LEFT_BEHIND)

    until(given_back)
    kept = llamatop("replay", "run.parquet", "--json")
    assert kept.code == 0 and kept.json["complete"] is False, "but for its last second"


def test_ctrl_z_halts_it_and_it_comes_back(
    terminal: Callable[..., Terminal], llamatop: Llamatop
) -> None:
    one = terminal(*SCRIPTED)
    one.until(r"\d+/200")
    process = psutil.Process(one.child.pid)
    one.child.send("\x1a")
    until(lambda: one.read() or process.status() == psutil.STATUS_STOPPED)
    assert termios.tcgetattr(one.child.child_fd)[3] & termios.ICANON, "the shell can be typed into"
    one.screen.reset()
    process.send_signal(signal.SIGCONT)
    one.until(r"\d+/200")
    assert one.leave(lambda: one.child.send("q")) == 0


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP])
def test_halted_and_gone_on_it_draws_everything_anew_and_leaves(
    terminal: Callable[..., Terminal], llamatop: Llamatop, number: int
) -> None:
    one = terminal(*SCRIPTED)
    one.until(r"\d+/200")
    process = psutil.Process(one.child.pid)
    for _ in range(4):
        process.send_signal(number)
        end = time.monotonic() + 60
        while process.status() != psutil.STATUS_STOPPED:
            one.read()
            assert time.monotonic() < end, "it is not halted"
        one.read()
        one.screen.reset()
        process.send_signal(signal.SIGCONT)
        for drawn in (
            r"llamatop +demo",
            "¹Throughput",
            "³Memory",
            "⁴Requests",
            r"\d+/200",
            "q quit",
        ):
            one.until(drawn)
    assert one.leave(lambda: one.child.send("q")) == 0
    for sequence in LEFT_BEHIND:
        assert sequence in one.raw[-2000:]
    assert llamatop("replay", "run.parquet", "--json").json["complete"]


def test_a_vanished_terminal_ends_it_in_good_order(
    terminal: Callable[..., Terminal], llamatop: Llamatop
) -> None:
    one = terminal(*SCRIPTED)
    one.until(r"\d+/200")
    children = psutil.Process(one.child.pid).children(recursive=True)
    one.child.ptyproc.fileobj.close()
    one.child.closed = one.child.ptyproc.closed = True
    until(lambda: not one.child.isalive(), 60)
    assert one.child.exitstatus == 129
    until(lambda: all(gone(child) for child in children), 60)
    assert llamatop("replay", "run.parquet", "--json").json["complete"]


@pytest.mark.parametrize("key", ["q", "\x03", "\x11"])
def test_it_leaves_while_it_loads(terminal: Callable[..., Terminal], key: str) -> None:
    one = terminal("--model", "demo", "--no-save")
    one.until(r"llamatop")
    assert one.leave(lambda: one.child.send(key)) in (0, 130)


def test_a_killed_engine_is_told_and_the_screen_lives(terminal: Callable[..., Terminal]) -> None:
    one = terminal(*SCRIPTED)
    one.until(r"\d+/200")
    _engine_of(one).kill()
    one.until(r"SIGKILL")
    assert one.leave(lambda: one.child.send("q")) == 1


def _engine_of(one: Terminal) -> psutil.Process:
    children = psutil.Process(one.child.pid).children()
    return next(child for child in children if "engines.host" in " ".join(child.cmdline()))


def _chosen(one: Terminal) -> str:
    return next((line[:80] for line in one.screen.display if "▸" in line), "")


def _is_elsewhere(one: Terminal) -> bool:
    """Whether the chosen recording is in another folder than this terminal's."""
    return one.shows(r"llamatop replay /(?!.*test_a_run_begun)")


def test_a_run_begun_from_a_replay_is_kept_and_its_loss_makes_the_exit_code(
    terminal: Callable[..., Terminal], llamatop: Llamatop, foretold: Callable[..., None]
) -> None:
    foretold("--model", "demo", "--concurrency", "4")
    assert llamatop("--record", *SCRIPTED, "--requests", "4", "--gen-toks", "20").code == 0
    one = terminal("replay", "run.parquet")
    one.until(r"20/20")
    one.child.send("m")
    one.until(r"bundled")
    one.until(r"--concurrency 4 .*--gen-toks 200")
    one.child.send("\r")
    one.until(r"decode .* \d+/200")
    one.until(r"tok/s")
    _engine_of(one).kill()
    one.until(r"SIGKILL")
    one.child.send("m")
    one.until(r"opened in replay")
    one.child.send("recording")
    one.until(r"▸ .* \d\d:\d\d")
    while _is_elsewhere(one) or not one.shows(r"▸ demo"):
        before = _chosen(one)
        one.child.send("\x1b[B")
        until(lambda before=before: one.read() or _chosen(one) != before)
    one.child.send("\r")
    one.until(r"space (play|pause)")
    assert one.leave(lambda: one.child.send("q")) == 1
    assert re.search(r"recording: .*-demo\.parquet", one.raw)
    assert re.search(r"llamatop replay \S+-demo\.parquet\s+llamatop compare \S+-demo\.par", one.raw)


@pytest.mark.parametrize("model", ["no/such-model", "./nowhere"])
def test_a_refused_model_is_one_line_after_the_screen(
    terminal: Callable[..., Terminal], model: str
) -> None:
    one = terminal("--model", model, "--out", "run.parquet")
    one.until(r"--model")
    one.leave(lambda: one.child.send("q"))
    assert one.child.exitstatus == 2


def test_recording_starts_and_stops_during_a_run(
    terminal: Callable[..., Terminal], llamatop: Llamatop
) -> None:
    one = terminal("--engine", "scripted", "--no-save", "--gen-toks", "40")
    done = r"([\d,]+) requests? done"
    for _ in range(2):
        one.until(r"not recording")
        one.child.send("r")
        one.until(r"● rec")
        started = one.count(done)
        while one.count(done) < started + 4:
            one.read()
        one.child.send("r")
    one.until(r"not recording")
    assert one.leave(lambda: one.child.send("q")) == 0
    recordings = sorted((llamatop.folder / "llamatop" / "recordings").iterdir())
    assert len(recordings) == 2
    for recording in recordings:
        told = llamatop("replay", str(recording), "--json").json
        (level,) = told["levels"]
        assert told["joined_s"] > 0 and level["output_tokens"] > 0


def test_what_cannot_be_recorded_leads_back_to_the_choice(
    terminal: Callable[..., Terminal], llamatop: Llamatop
) -> None:
    (llamatop.folder / "llamatop").write_text("no folder")
    one = terminal()
    one.until(r"demo")
    one.child.send("\r")
    one.until(r"cannot be recorded to")
    assert one.child.isalive()
    one.until(r"bundled")
    assert one.leave(lambda: one.child.send("\x03")) == 0


COLOUR = re.compile(r"\x1b\[[\d;:]*?\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:[;:]\d+)*m")


def test_a_dumb_terminal_gets_a_screen_without_colours(terminal: Callable[..., Terminal]) -> None:
    one = terminal(*SCRIPTED, TERM="dumb", COLORTERM="truecolor")
    one.until(r"\d+/200")
    assert one.leave(lambda: one.child.send("q")) == 0
    assert not COLOUR.search(one.raw)
    assert COLOUR.search("\x1b[1;38;2;1;2;3m") and not COLOUR.search("\x1b[1m\x1b[12;40H")


@pytest.mark.parametrize("command", [("plot", "--terminal"), ("compare",), ("recommend",)])
def test_a_dumb_terminal_gets_no_escapes_of_a_command(
    terminal: Callable[..., Terminal], command: tuple[str, ...]
) -> None:
    samples = Path(__file__).parents[2] / "recordings/samples"
    runs = [str(samples / f"{name}-cpu.parquet") for name in ("demo-sweep", "llama-3.2-1b")]
    name, *options = command
    one = terminal(name, *runs, *options, TERM="dumb")
    assert one.leave(lambda: None) == 0
    assert "\x1b" not in one.raw and one.raw.strip()
