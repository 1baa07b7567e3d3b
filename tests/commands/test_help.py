"""What `--help` says: options are explained, and examples are ones that the program takes."""

import re
import shlex
from pathlib import Path

import pytest

from llamatop.commands import asked, run_options
from llamatop.commands.ab import _bound
from llamatop.commands.completion import each_command, whole
from llamatop.commands.parser import Parser

ROOT = Path(__file__).parents[2]
PARSERS: dict[str, Parser] = {"": run_options.command_line(), **dict(each_command())}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_is_explained_and_examples_close_the_page(name: str) -> None:
    parser = PARSERS[name]
    assert all(action.help for action in parser._actions)
    page = parser.format_help()
    assert page.index("examples:") > page.index("options:")
    assert parser.examples in page
    assert max(map(len, parser.examples.splitlines())) <= 100


@pytest.mark.parametrize("name", PARSERS)
def test_every_example_is_taken(name: str) -> None:
    lines = [line for line in parser_lines(PARSERS[name]) if line.startswith("llamatop")]
    assert lines
    for line in lines:
        assert taken(line), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_pages_is_taken(page: Path) -> None:
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("llamatop ") and "…" not in line:
                assert taken(line), line


def parser_lines(parser: Parser) -> list[str]:
    return [line.strip() for line in parser.examples.splitlines()]


def taken(line: str) -> bool:
    """Whether a command line is one that its command's parser reads; InputError where not."""
    words = shlex.split(line, comments=True)[1:]
    words = words[: next((i for i, one in enumerate(words) if one in ("&&", "|", ">")), None)]
    name = words.pop(0) if words and words[0] in PARSERS else ""
    if name == "ab":
        _, rest = PARSERS["ab"].parse_known_args(_bound(words))
        return bool(asked.config_of(["--record", *rest]))
    return bool(PARSERS[name].parse_args(words))


def test_a_shell_completes_commands_and_their_options() -> None:
    shtab = pytest.importorskip("shtab")
    for shell in ("bash", "zsh", "fish"):
        told = shtab.complete(whole(), shell=shell)
        assert all(word in told for word in ("recommend", "until-slo", "fail-if"))
