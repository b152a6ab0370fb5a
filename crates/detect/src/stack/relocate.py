# make the scripts of .venv movable
# They find their Python beside them, wherever the release lies.
import pathlib
q = bytes([39])
for f in pathlib.Path(".venv/bin").iterdir():
    if f.is_symlink() or not f.is_file():
        continue
    head, _, rest = f.read_bytes().partition(b"\n")
    if head == b"#!/bin/sh" and rest.startswith(q * 3 + b"exec" + q) and b"/.venv/bin/python" in rest.partition(b"\n")[0]:
        rest = rest.partition(b"\n")[2].partition(b"\n")[2]
    elif not (head.startswith(b"#!") and b"/.venv/bin/python" in head):
        continue
    f.write_bytes(b"#!/bin/sh\n" + q * 3 + b"exec" + q + b" \"$(dirname -- \"$(realpath -- \"$0\")\")/python3\" \"$0\" \"$@\"\n" + q + b" " + q * 3 + b"\n" + rest)
