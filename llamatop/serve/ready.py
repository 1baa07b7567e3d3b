"""Whether a server that was started serves yet, by what it answers on this machine.

It does once it answers for its models, and its `/health`, where it has one, does not say that it is
still loading: some open their port at once and say 503 until the model is there.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping
from contextlib import suppress

from llamatop.engines.server.known import Reply, models_of

HOST = "127.0.0.1"
EVERY_SECONDS = 0.2
ANSWER_SECONDS = 10.0
"""How long one answer is waited for; a server that loads may be slow to say so."""

_LARGEST = 4 * 1024 * 1024
_LOADING = 503


class Readiness:
    """Asks until the server serves, in a thread of its own."""

    def __init__(self, port: int, headers: Mapping[str, str]) -> None:
        """`headers`: what a server may want of whoever asks; secrets, sent and never kept."""
        self._port = port
        self._headers = headers
        self._over = threading.Event()
        self.models: list[str] | None = None
        """What it lists; None: it does not serve yet."""
        threading.Thread(target=self._ask, name="readiness", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()

    def _ask(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            models = self._get("/v1/models")
            if models.status not in (0, _LOADING) and self._get("/health").status != _LOADING:
                self.models = [str(one["id"]) for one in models_of(models)]
                return

    def _get(self, path: str) -> Reply:
        """One answer; of status 0 where there is none."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=ANSWER_SECONDS)
        with suppress(OSError, http.client.HTTPException):
            try:
                connection.request("GET", path, headers=dict(self._headers))
                answer = connection.getresponse()
                return Reply(answer.status, {}, answer.read(_LARGEST))
            finally:
                connection.close()
        return Reply(0)
