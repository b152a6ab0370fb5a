"""Lets a deployment have been begun by another version of Plimsoll: DATABASE DEPLOYMENT VERSION. No server may run."""

import json
import sqlite3
import sys

database, deployment, version = sys.argv[1], sys.argv[2], int(sys.argv[3])
with sqlite3.connect(database) as connection:
    of = "WHERE saga_id = ? AND seq = 0"
    (text,) = connection.execute(f"SELECT record FROM saga_records {of}", (deployment,)).fetchone()
    record = json.loads(text)
    record["event"]["started"]["version"] = version
    connection.execute(f"UPDATE saga_records SET record = ? {of}", (json.dumps(record), deployment))
    connection.execute("UPDATE sagas SET version = ? WHERE id = ?", (version, deployment))
