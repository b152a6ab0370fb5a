"""A foreign client: the Python SDK, over both transports and both revisions of the protocol.

client.py PLIMSOLL DATA URL TOKEN_FILE: prints one JSON document per connection. The schemas that the server lists are JSON
schemas, all of them, and whatever it answers is validated against them, by the SDK and once more here.
"""

import asyncio
import json
import sys

import httpx2
import jsonschema
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

APP = {"app": "hello"}
PLACE = {"app": "hello", "environment": "production"}


# Schemas that hold, as text: the same ones come with each connection, and a look at all of them takes seconds.
sound = set()


def check(schema):
    text = json.dumps(schema, sort_keys=True)
    if text not in sound:
        jsonschema.Draft202012Validator.check_schema(schema)
        sound.add(text)


async def talk(transport, mode):
    told = {"mode": mode, "checked": [], "progress": []}
    async with Client(transport, mode=mode) as client:
        told["version"] = client.protocol_version
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        told["tools"] = sorted(tools)
        for tool in tools.values():
            for schema in (tool.input_schema, tool.output_schema):
                check(schema)

        async def call(name, arguments, error=False, **more):
            result = await client.call_tool(name, arguments, **more)
            assert bool(result.is_error) == error, (name, arguments, result)
            assert json.loads(result.content[0].text) == result.structured_content
            if not error:
                schema = tools[name].output_schema
                jsonschema.Draft202012Validator(schema).validate(result.structured_content)
                told["checked"].append(name)
            return result.structured_content

        await call("server_info", {})
        await call("apps_list", {"limit": 10})
        await call("apps_get", APP)
        await call("environments_list", APP)
        await call("environments_get", PLACE)
        await call("variables_list", PLACE)
        await call("releases_list", APP)
        await call("releases_get", {"app": "hello", "number": 1})
        await call("logs_read", PLACE)
        await call("events_list", {"limit": 100})
        deployments = (await call("deployments_list", APP))["items"]
        for deployment in deployments:
            await call("deployments_get", {"deployment": deployment["id"]})
            await call("deployments_output", {"deployment": deployment["id"]})
        told["phases"] = [deployment["phase"] for deployment in deployments]

        async def progress(now, total, message):
            told["progress"].append([now, total, message])

        started = await call("deploy_full", {**PLACE, "idempotency_key": f"{transport_name}-{mode}"})
        again = await call("deploy_full", {**PLACE, "idempotency_key": f"{transport_name}-{mode}"})
        assert started["id"] == again["id"], "the key made two of one"
        for _ in range(20):
            waited = await call(
                "deployments_wait", {"deployment": started["id"], "timeout_seconds": 10}, progress_callback=progress
            )
            if waited["ended"]:
                break
        told["ended"] = waited["deployment"]["phase"]
        told["refused"] = [
            (await call(name, arguments, error=True))["code"]
            for name, arguments in [
                ("apps_get", {"app": "nothing"}),
                ("apps_get", {"app": "hello", "colour": "red"}),
                ("apps_delete", APP),
                ("deployments_cancel", {"deployment": started["id"]}),
            ]
        ]
    print(json.dumps(told), flush=True)


async def main():
    global transport_name
    binary, data, url, token_file = sys.argv[1:]
    with open(token_file) as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}"}
    for mode in ["legacy", "2026-07-28"]:
        transport_name = "stdio"
        parameters = StdioServerParameters(command=binary, args=["--data", data, "mcp"])
        await talk(stdio_client(parameters), mode)
        transport_name = "http"
        async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            await talk(streamable_http_client(url, http_client=client), mode)


asyncio.run(main())
