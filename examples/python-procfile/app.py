"""A small web app: says hello, and which version of itself says so."""

import os
import signal
import sys
from pathlib import Path

from flask import Flask, jsonify, request

VERSION = Path(__file__).with_name("VERSION").read_text().strip()

app = Flask(__name__)


def say_goodbye(previous):
    def on_term(number, frame):
        print("told to stop: finishing the requests in flight", flush=True)
        if callable(previous):
            previous(number, frame)
        else:
            sys.exit(0)

    return on_term


# In a worker of gunicorn, which has its own handler by now: ours speaks, then asks it.
signal.signal(signal.SIGTERM, say_goodbye(signal.getsignal(signal.SIGTERM)))


@app.get("/")
def hello():
    greeting = os.environ.get("GREETING", "Hello")
    print(f"greeting {request.remote_addr} with {greeting!r}", flush=True)
    return jsonify(message=f"{greeting} from Python", version=VERSION, pid=os.getpid())


@app.get("/healthz")
def healthz():
    return "ok\n"
