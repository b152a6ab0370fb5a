"""Prints lines at an even rate once a file is there: printer.py GATE RATE SECONDS

Each begins with |, which nothing else in the streams is (a ~ is in heads of WebSocket frames), its number and when it was made,
in microseconds.
"""

import os
import sys
import time

gate, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
while not os.path.exists(gate):
    time.sleep(0.02)
begun, printed = time.monotonic(), 0
while printed < rate * seconds:
    due = min(int((time.monotonic() - begun) * rate), rate * seconds)
    now = time.time_ns() // 1000
    lines = "".join(f"|{number + 1} {now} compiling a module of about this length, as builds do, {'x' * 30}\n"
                    for number in range(printed, due))
    sys.stdout.write(lines)
    sys.stdout.flush()
    printed = due
    time.sleep(0.01)
