"""Answers to many questions: what each costs, and that copies of one share its reading."""

import pytest
from tests.fusion.world import QUESTIONS, ask, make_world, opened

from motet.fusion import compute
from motet.fusion.answering import Fused, alone
from motet.generation.decoding import Sampling

GREEDY = Sampling(5, temperature=0.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("answering"), "B")


def test_an_answer_costs_its_members_and_its_draft(world):
    opened(world.layers)
    requests = [ask(q) for q in QUESTIONS]
    fused = Fused(world.card, world.layers, world.members, 0)
    plain = [a for (a,) in alone(world.members[0], requests, GREEDY, lambda _: None)]
    both = fused.answers(requests, requests, GREEDY, lambda _: None)
    for request, own, answer in zip(requests, plain, both, strict=True):
        size = compute.size_of(world.members[0])
        assert own.reading == size.reading(len(world.members[0].encode(request).tokens))
        peers = [
            compute.size_of(world.members[e]).reading(len(world.members[e].encode(request).tokens))
            for e in fused.peers
        ]
        assert answer.reading > own.reading + sum(peers)  # drafts and the layers come on top
        assert answer.flops > own.flops or answer.writing < own.writing  # or it is shorter


def test_more_answers_share_one_reading(world):
    sampling = Sampling(5, temperature=1.0, seed=3)
    ((*many,),) = alone(world.members[0], [ask("town")], sampling, lambda _: None, copies=4)
    ((one,),) = alone(world.members[0], [ask("town")], sampling, lambda _: None)
    assert many[0] == one
    assert len({answer.text for answer in many}) > 1
    assert {answer.reading for answer in many} == {one.reading}


def test_deranged_peers_look_no_further_than_the_question_goes(world):
    fused = Fused(world.card, opened(world.layers), world.members, 0)
    short, long = [ask("it")], [ask("x" * 40)]
    told = []
    (answer,) = fused.answers(short, long, GREEDY, told.append)
    (own,) = fused.answers(short, short, GREEDY, told.append)
    assert answer.reading > own.reading and told == [1, 1]
