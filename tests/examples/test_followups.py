"""Follow-ups on the shipped fleet go to whom they are meant for, as the conversation goes on."""

import asyncio
import json
from pathlib import Path

import pytest

from motet.composer.assembly import assemble
from motet.composer.pipeline import Pipeline
from motet.config import load
from motet.experts.fleet import ReadyFleet
from motet.types import Request

CONVERSATIONS = Path("benchmarks/conversations")


def conversations(name):
    lines = (CONVERSATIONS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_no_conversation_is_in_both_halves():
    halves = [
        {json.dumps(row["messages"]) for row in conversations(name)}
        for name in ("development", "held_out")
    ]
    assert min(map(len, halves)) > 100 and not halves[0] & halves[1]
    rows = conversations("development") + conversations("held_out")
    assert all(row["messages"][-1]["role"] == "user" and row["expert"] for row in rows)


@pytest.mark.engine
def test_follow_ups_go_to_whom_they_are_meant_for():
    parts = assemble(load("experts.yaml"))
    pipeline = Pipeline(parts, ReadyFleet(parts.experts.values()))
    rows = conversations("development")[::2]

    async def decisions():
        return [
            await pipeline.decide(Request(model="auto", messages=tuple(row["messages"])))
            for row in rows
        ]

    decided = asyncio.run(decisions())
    parts.encoders.close()
    astray = [
        (row["messages"][-1]["content"], decision.primary)
        for row, decision in zip(rows, decided, strict=True)
        if decision.primary != row["expert"]
    ]
    assert len(astray) <= 0.05 * len(rows), astray
    assert any("it returns to" in decision.reason for decision in decided)
    assert any("it goes on with" in decision.reason for decision in decided)
