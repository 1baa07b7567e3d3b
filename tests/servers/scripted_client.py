"""How a test speaks with the scripted server: what it is to do, and what it says that it did."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.running import Server


class Scripted:
    """The scripted server as one test sees it."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self.plays()

    def plays(self, *following: dict[str, Any], models: Any = None, **script: Any) -> None:
        """From now on: `following` for the next requests in turn, `script` for all after them."""
        wanted: dict[str, Any] = {"script": script, "next": following}
        self._server.post("/script", wanted if models is None else wanted | {"models": models})

    def log(self) -> list[dict[str, Any]]:
        """Every request since, as `scripted_server.py` says."""
        return list(json.loads(self._server.get("/log")))
