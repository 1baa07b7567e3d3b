"""A scripted server that is hard to end: it, and a process that it left to itself, ignore SIGTERM.

    python stubborn_server.py HOW PORT PIDS

It stands for no real server. HOW is `serve`, `hang` (it never answers), `fall` (it lists its model,
and dies at the first request, whose connection ends before it does), or the exit code with which it
dies while it loads. The numbers of its processes stand in the file PIDS once all run.
"""

import os
import runpy
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def leave_one(path: Path) -> None:
    """A process in a session of its own, whose parent has ended."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            path.with_suffix(".part").write_text(f"{os.getpid()} {server}")
            path.with_suffix(".part").rename(path)
            while True:
                time.sleep(60)
        os._exit(0)
    os.wait()


class Falling(BaseHTTPRequestHandler):
    """Has a model, and no answer. Of looks at its metrics it prints nothing."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        body = b'{"object": "list", "data": [{"id": "scripted"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        os.write(1, b"the first request was too much\n")
        threading.Timer(0.5, os._exit, (2,)).start()


if __name__ == "__main__":
    how, port, pids = sys.argv[1:]
    server = os.getpid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    leave_one(Path(pids))
    os.write(1, b"loading the weights of nothing\n")
    while how == "hang":
        time.sleep(60)
    if how == "fall":
        ThreadingHTTPServer(("127.0.0.1", int(port)), Falling).serve_forever()
    if how != "serve":
        os.write(1, b"weights are missing: {none}\n")
        sys.exit(int(how))
    sys.argv[1:] = [port]
    sys.path.insert(0, str(Path(__file__).parent))
    runpy.run_path(str(Path(__file__).with_name("scripted_server.py")), run_name="__main__")
