"""Makes COUNT deployments of the one that waits for later, due now, in turn for each environment of its app: as if somebody had
ordered it so often everywhere.

Usage: fill.py DATABASE COUNT
"""

import sqlite3
import sys

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"

path, count = sys.argv[1], int(sys.argv[2])
db = sqlite3.connect(path)
db.row_factory = sqlite3.Row


def rows(table, column):
    found = db.execute(f"SELECT * FROM {table} WHERE {column} = ?", [first]).fetchall()
    assert found, f"nothing of {first} in {table}"
    return [dict(row) for row in found]


def put(table, rows):
    columns = list(rows[0])
    marks = ", ".join("?" * len(columns))
    names = ", ".join(f'"{c}"' for c in columns)
    db.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", [list(row.values()) for row in rows])


def another(id, n):
    """The same time, another chance."""
    end = ""
    for _ in range(6):
        end, n = DIGITS[n % 32] + end, n // 32
    return id[:-6] + end


first, app, home = db.execute("SELECT deployment_id, app_id, environment_id FROM queue").fetchone()
places = db.execute("SELECT id, name FROM environments WHERE app_id = ? ORDER BY id", [app]).fetchall()
(home_name,) = (name for id, name in places if id == home)
wanted = [(table, rows(table, column)) for table, column in
          [("deployments", "id"), ("sagas", "id"), ("saga_records", "saga_id"), ("queue", "deployment_id")]]
with db:
    for table, found in wanted:
        for start in range(0, count, 10_000):
            made = []
            for n in range(start, min(start + 10_000, count)):
                id = another(first, n)
                if id == first:
                    continue
                place, name = places[n % len(places)]
                for row in found:
                    copy = {k: v.replace(first, id).replace(home, place) if isinstance(v, str) else v
                            for k, v in row.items()}
                    # They came one after the other, each is newer than what was before, and may start now.
                    if "generation" in copy:
                        copy["generation"] += n + 1
                    if "rank" in copy:
                        copy["rank"], copy["not_before"] = copy["enqueued_at"] + n, None
                    if "environment" in copy:
                        copy["environment"] = name
                    if "record" in copy:
                        generation = wanted[0][1][0]["generation"]
                        for was, now in [(f'"generation":{generation}', f'"generation":{generation + n + 1}'),
                                         (f'"environment_name":"{home_name}"', f'"environment_name":"{name}"')]:
                            copy["record"] = copy["record"].replace(was, now)
                    made.append(copy)
            put(table, made)
    db.execute("UPDATE environments SET generation = ? + ? WHERE app_id = ?",
               [wanted[0][1][0]["generation"], count + 1, app])
