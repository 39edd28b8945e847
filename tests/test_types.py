"""The words of Motet: ids, usage and requests."""

import dataclasses
import os
import re
from concurrent.futures import ThreadPoolExecutor

from motet.types import Capability, Request, new_id


def test_ids_are_unique_in_all_threads():
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: new_id("x"), range(5000)))
    assert len(set(ids)) == 5000
    assert all(re.fullmatch(r"x-[0-9a-f]{32}", id) for id in ids)


def test_a_forked_process_gives_out_ids_of_its_own():
    new_id("x")  # some are in store
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, new_id("x").encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 100).decode()
    assert theirs not in {new_id("x") for _ in range(600)}


def test_what_a_request_needs_of_an_expert():
    chat = {"messages": ({"role": "user", "content": "hi"},)}
    assert Request(model="m", prompt="x").needs == {Capability.COMPLETIONS}
    assert Request(model="m", **chat, top_logprobs=0).needs == {
        Capability.CHAT,
        Capability.LOGPROBS,
    }
    image = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},)
    assert Capability.VISION in Request(model="m", messages=image).needs


def ask(**fields):
    return Request(model="auto", messages=({"role": "user", "content": "one two three"},), **fields)


def test_request_needs():
    assert ask().needs == {Capability.CHAT}
    assert Capability.JSON_SCHEMA in ask(response_format={"type": "json_schema"}).needs
    assert dataclasses.replace(ask(), n=2).needs == {Capability.CHAT}
