"""Gives each session of requests an address of its own on this machine.

The server makes an address wait from which many wrong tokens came, and a check sends one for each operation, in a session
of its own. Loaded by schemathesis as SCHEMATHESIS_HOOKS.
"""

import itertools

from requests.adapters import HTTPAdapter

numbers = itertools.count()
init_poolmanager = HTTPAdapter.init_poolmanager


def from_another_address(self, *args, **kwargs):
    number = next(numbers)
    kwargs["source_address"] = (f"127.{1 + number // 62500 % 250}.{number // 250 % 250}.{1 + number % 250}", 0)
    init_poolmanager(self, *args, **kwargs)


HTTPAdapter.init_poolmanager = from_another_address
