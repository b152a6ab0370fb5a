"""The API: counts visits, with nothing but the standard library."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

visits = 0
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        global visits
        if self.path == "/api/healthz":
            return self.answer(200, {"status": "ok"})
        if self.path == "/api/visits":
            with lock:
                visits += 1
                return self.answer(200, {"visits": visits})
        self.answer(404, {"error": "not found"})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.daemon_threads = False
# In a thread: `shutdown` waits for the loop that the handler would interrupt.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"api listens on {server.server_port}", flush=True)
server.serve_forever()
server.server_close()
