"""How requests leave. Loaded by schemathesis as SCHEMATHESIS_HOOKS.

Each session of requests has an address of its own on this machine: the server makes an address wait from which many wrong tokens
came, and a check sends one for each operation, in a session of its own.

Who signs out needs another session to go on with: so it is always another one that ends.
"""

import itertools
import os

import requests
import schemathesis
from requests.adapters import HTTPAdapter

SESSION = os.environ.get("PLIMSOLL_SESSION")

numbers = itertools.count()
init_poolmanager = HTTPAdapter.init_poolmanager
send = HTTPAdapter.send


def from_another_address(self, *args, **kwargs):
    number = next(numbers)
    kwargs["source_address"] = (f"127.{1 + number // 62500 % 250}.{number // 250 % 250}.{1 + number % 250}", 0)
    init_poolmanager(self, *args, **kwargs)


def with_a_session_to_lose(self, request, **kwargs):
    cookie = request.headers.get("Cookie") or ""
    if SESSION and SESSION in cookie and request.path_url.startswith("/api/v1/auth/sign-out"):
        request.headers["Cookie"] = cookie.replace(SESSION, another_session(request.url))
    return send(self, request, **kwargs)


def another_session(url):
    person = {"email": os.environ["PLIMSOLL_EMAIL"], "password": os.environ["PLIMSOLL_PASSWORD"]}
    answer = requests.post(url.split("/sign-out")[0] + "/sign-in", json=person, timeout=60)
    answer.raise_for_status()
    return answer.cookies["__Host-plimsoll"]


@schemathesis.hook
def filter_query(context, query):
    """A longer address is refused before there is a request, with an empty answer that no document has."""
    return len(str(query)) < 8192


HTTPAdapter.init_poolmanager = from_another_address
HTTPAdapter.send = with_a_session_to_lose
