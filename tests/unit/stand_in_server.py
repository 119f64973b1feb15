"""Stands in for sm_local.server: answers health checks, starts children, and misbehaves as told."""

from __future__ import annotations

import argparse
import json
import os
import signal
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sm_local.state import StateDirectory
from sm_local.tls import ensure_certificate


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"status": "running", "recorded_only": {"AWS::X::Y": "kept"}}).encode()
        self.send_response(200 if self.path == "/_sm_local/health" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--state-dir", type=Path)
    parser.add_argument("--time-scale", type=float)
    arguments = parser.parse_args()
    faults = os.environ.get("STAND_IN", "").split()
    if "fail" in faults:
        sys.exit("RuntimeError: the reason why")
    if "stubborn" in faults:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "children" in faults:
        # One that stays in the session, one that leaves it as daemons do.
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        for new_session in (False, True):
            subprocess.Popen(sleep, start_new_session=new_session)
    if "silent" in faults:
        signal.pause()
    state = StateDirectory(arguments.state_dir)
    ensure_certificate(state)
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Health)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(state.certificate, state.private_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
