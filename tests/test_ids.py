"""Ids are unique, in threads and in forked processes."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

from motet.ids import new_id


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
