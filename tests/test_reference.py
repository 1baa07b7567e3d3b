"""The pages that are told by the code are as the code tells them."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_pages_of_reference_are_new() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "reference.py"))
    for name, page in script["PAGES"].items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == page(), (
            f"docs/{name} is old: python scripts/reference.py"
        )
