import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamatop.events.kinds import DeviceSampled, ModelLoaded, RequestFailed, TokensEmitted
from llamatop.events.sanitize import clean, clean_event, one_line
from tests.recording.runs import loaded

HARMFUL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
ANYTHING = st.text(st.characters(codec=None))


@given(ANYTHING)
def test_nothing_a_terminal_obeys_is_left(text: str) -> None:
    assert not HARMFUL.search(clean(text))
    clean(text).encode()
    assert "\n" not in one_line(text)


@given(ANYTHING)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert one_line(one_line(text)) == one_line(text)
    assert len(clean(text)) == len(text), "each character is one still"


@pytest.mark.parametrize(
    "text",
    [
        "Größe, naïve façade: 12 µs ≤ ½ €",
        "Привіт, світе! Ελληνικά",
        "שלום עולם",
        "مرحبا بالعالم، می\u200cخواهم",  # noqa: RUF001
        "नमस्ते दुनिया, ক্ষ, தமிழ், ไทย, ខ្មែរ, မြန်မာ",
        "中文，日本語のテキスト、한국어 조선말",  # noqa: RUF001
        "አማርኛ ქართული Հայերեն ᠮᠣᠩᠭᠣᠯ",
        "👩\u200d👩\u200d👧 🏳️\u200d🌈 1️⃣ é e\u0301 𝔘𝔫𝔦 𐍈",  # noqa: RUF001
        "a\u00a0b\u2003c\u3000de",
    ],
)
def test_ordinary_text_of_every_script_stays(text: str) -> None:
    assert clean(text) == text
    assert one_line(text) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"])))
def test_letters_marks_and_signs_stay(text: str) -> None:
    assert clean(text) == text


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_plain_text_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x9b31m", "\ufffd31m"),
        ("a\nb\tc", "a\nb\tc"),
        ("[@click=app.quit]x[/x]", "[@click=app.quit]x[/x]"),
        ("\ud800", "\ufffd"),
        ("abc\u202edef", "abc\ufffddef"),
    ],
)
def test_examples(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_every_string_of_an_event() -> None:
    assert clean_event(TokensEmitted(1, 2, 3, "\x1bc")) == TokensEmitted(1, 2, 3, "␛c")
    assert clean_event(RequestFailed(1, 2, "\x1bc")) == RequestFailed(1, 2, "␛c")
    device = DeviceSampled(1, 0, "GPU\x1b[2J", temperature=3.0)
    assert clean_event(device) == DeviceSampled(1, 0, "GPU␛[2J", temperature=3.0)
    slow = DeviceSampled(1, 0, "GPU", throttle=("sw\x1b[2J", "hot"))
    assert clean_event(slow).throttle == ("sw␛[2J", "hot")
    fine = DeviceSampled(1, 0, "GPU", throttle=("sw_power_cap",))
    assert clean_event(fine) is fine
    model = loaded(versions={"torch": "\x07"})
    cleaned = clean_event(model)
    assert isinstance(cleaned, ModelLoaded)
    assert cleaned.versions == {"torch": "␇"}


def test_a_clean_event_is_passed_on_as_it_is() -> None:
    event = TokensEmitted(1, 2, 3, "plain")
    assert clean_event(event) is event
