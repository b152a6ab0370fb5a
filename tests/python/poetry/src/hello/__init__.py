"""Answers with what is installed beside it."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from importlib.util import find_spec

import greeting


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        tools = "with" if find_spec("workbench") else "without"
        body = f"{greeting.TEXT} by {version('greeting')} {tools} tools of development"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def main():
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
