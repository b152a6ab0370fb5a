# Workflows of ten steps that do nothing, with DBOS: one after the other, then many at a time. Prints steps a second of each.
import os
import time
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS

AT_ONCE = int(os.environ["AT_ONCE"])
SECONDS = float(os.environ["SECONDS"])
STEPS = 10

DBOS(
    config={
        "name": "bench",
        "system_database_url": os.environ["DATABASE_URL"],
        "log_level": "ERROR",
        "run_admin_server": False,
    }
)


@DBOS.step()
def step(n):
    return {"ok": True, "n": n}


@DBOS.workflow()
def workflow():
    for n in range(STEPS):
        step(n)


def lane(until):
    done = 0
    while time.perf_counter() < until:
        workflow()
        done += STEPS
    return done


DBOS.launch()
for _ in range(5):
    workflow()
for at_once in (1, 16, AT_ONCE):
    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        done = sum(threads.map(lane, [began + SECONDS] * at_once))
    print(f"steps {at_once} {done / (time.perf_counter() - began)}", flush=True)
# What it has running in the background is of no interest any more.
os._exit(0)
