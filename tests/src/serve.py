"""An app that says which version it is, and misbehaves as its environment tells."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

version = Path(__file__).with_name("VERSION").read_text().strip()
setting = os.environ.get
started = time.time()

if setting("EXIT_AT_START"):
    print("can't find the moon", file=sys.stderr, flush=True)
    sys.exit(3)
time.sleep(float(setting("START_DELAY", "0")))


def break_down():
    print("the mast is broken", file=sys.stderr, flush=True)
    os._exit(9)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        if path.endswith("/healthz"):
            return self.answer(500 if setting("UNHEALTHY") else 200, "health")
        if path.endswith("/pid"):
            return self.answer(200, str(os.getpid()))
        if path.endswith("/started"):
            return self.answer(200, f"{started:.6f} {time.time():.6f}")
        if path.startswith("/env/"):
            return self.answer(200, setting(path[5:], "(unset)"))
        if path.startswith("/json/"):
            return self.answer(200, json.dumps({"value": setting(path[6:])}))
        if setting("CRASH") == "loudly":
            break_down()
        if setting("CRASH") == "quietly":
            threading.Timer(0.1, server.shutdown).start()
        shown = setting("SHOW_PID") and str(os.getpid()) or setting("SHOW_INSTANCE") and setting("PLIMSOLL_INSTANCE")
        self.answer(200, f"{version} {shown}" if shown else version)

    def answer(self, status, text):
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128


server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
# In a thread: `shutdown` waits for the loop that the handler would interrupt.
told_to_stop = threading.Event()


def stop(*_):
    told_to_stop.set()
    threading.Thread(target=server.shutdown).start()


signal.signal(signal.SIGTERM, stop)
print(f"version {version} listens", flush=True)
server.serve_forever(poll_interval=0.05)
# Whoever is in the queue of the socket already is answered; then it is closed at once.
server.socket.setblocking(False)
try:
    while True:
        connection, peer = server.socket.accept()
        connection.setblocking(True)
        server.process_request(connection, peer)
except BlockingIOError:
    server.server_close()
if not told_to_stop.is_set():
    break_down()
print("stopped in order", flush=True)
