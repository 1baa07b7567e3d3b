"""Where a recording goes when nobody says. Knows names and folders, not what is in them."""

from __future__ import annotations

import os
import re
from datetime import datetime
from itertools import chain, count
from pathlib import Path

_KEPT_NAME = 60


def default_path(model: str) -> Path:
    """`recordings/<time>-<model>.parquet` here, else in the platform's data folder.

    A number is added where another recording of the same second has the name.
    """
    return _free(default_folder(), f"{datetime.now():%Y-%m-%d-%H%M%S}", model)


def default_folder() -> Path:
    """Where recordings go that nobody names."""
    here = Path("recordings")
    return here if here.is_dir() else _data_folder()


def named_after(path: Path, model: str) -> Path:
    """A default path with the same time and another model."""
    return _free(path.parent, path.name[:_TIME], model)


def numbered(path: str | Path, place: int) -> Path:
    """The place (from 1) of one of several recordings: `NAME.1.parquet` beside `NAME.parquet`."""
    path = Path(path)
    return path.with_name(f"{path.name.removesuffix('.parquet')}.{place}.parquet")


_TIME = len("2026-01-31-235959")


def _free(folder: Path, time: str, model: str) -> Path:
    name = f"{time}-{_slug(model)}"
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    paths = (folder / f"{name}.parquet" for name in names)
    return next(path for path in paths if not _taken(path))


def _taken(path: Path) -> bool:
    from llamatop.recording.files import journal_of  # noqa: PLC0415  (`--help` names the folder)

    return any(os.path.lexists(one) for one in (path, journal_of(path)))


def _data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415  (only where it is needed)

    return user_data_path("llamatop") / "recordings"


def _slug(model: str) -> str:
    """A model's name as a file's: letters, digits, dots, dashes."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(model).name).strip(".-")
    return name[:_KEPT_NAME] or "model"
