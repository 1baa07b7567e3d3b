"""In which folder a recording goes when nobody says. Imports nothing heavy: `--help` tells it."""

from __future__ import annotations

from pathlib import Path


def default_folder() -> Path:
    """`recordings` where a folder of that name is here, else in the platform's data folder."""
    here = Path("recordings")
    return here if here.is_dir() else _data_folder()


def _data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415  (only where it is needed)

    return user_data_path("llamatop") / "recordings"
