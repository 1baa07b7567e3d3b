"""What other people's code raised, as part of a line that a person can read to its end."""

from __future__ import annotations

import re

MOST = 200
"""Characters of a reason; what goes beyond is left out sentence by sentence, then at a word."""


def told(error: BaseException) -> str:
    """The first sentences of its message, or what was raised where it says nothing."""
    text = " ".join(str(error).split())
    if not re.search(r"[A-Za-z]{2}.*\s", text):
        what = type(error).__name__ + (f" ({text})" if text else "")
        return f"its code in transformers raises {what} and says no more"
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)
    kept = sentences[0]
    for sentence in sentences[1:]:
        if len(kept) + len(sentence) + 1 > MOST:
            break
        kept += f" {sentence}"
    if len(kept) > MOST:
        kept = kept[:MOST].rpartition(" ")[0].rstrip(" ,;:([{'\"") + " …"
    return kept.rstrip(".:; ")
