"""Where a recording goes when nobody says. Knows names and folders, not what is in them."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

_KEPT_NAME = 60


def default_path(model: str) -> Path:
    """`recordings/<time>-<model>.parquet` here, else in the platform's data folder."""
    name = f"{datetime.now():%Y-%m-%d-%H%M%S}-{_slug(model)}.parquet"
    here = Path("recordings")
    return (here if here.is_dir() else _data_folder()) / name


def _data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415  (only where it is needed)

    return user_data_path("llamatop") / "recordings"


def _slug(model: str) -> str:
    """A model's name as a file's: letters, digits, dots, dashes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).name).strip(".-")
    return name[:_KEPT_NAME] or "model"
