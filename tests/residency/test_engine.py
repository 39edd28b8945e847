"""One engine as the scheduler sees it: who waits for it, and how much it is asked for of late."""

import pytest

from motet.residency.engine import RECENT_S, Engine, Stage, Ticket
from motet.residency.ledger import EngineState


def waiting(engine, *times):
    tickets = [Ticket(engine.id, at, hit=False) for at in times]
    for ticket in tickets:
        engine.push(ticket)
    return tickets


def test_the_head_is_who_waits_longest_and_whoever_left_is_passed_over():
    engine = Engine("a", 1, 2.0)
    first, second, third = waiting(engine, 1.0, 2.0, 3.0)
    assert engine.head() is first and engine.waiting == 3
    engine.drop(first, Stage.OVER)
    engine.drop(third, Stage.RUNNING)
    assert engine.head() is second and engine.waiting == 1


def test_it_starts_while_it_is_there_has_room_and_somebody_waits():
    engine = Engine("a", 1, 2.0, slots=1)
    engine.state = EngineState.LOADED
    assert engine.idle and not engine.startable
    waiting(engine, 1.0)
    assert engine.startable
    engine.running = 1
    assert not engine.startable and not engine.idle
    engine.running, engine.leaving = 0, True
    assert not engine.startable
    engine.leaving, engine.state = False, EngineState.LOADING
    assert not engine.startable and not engine.idle


def test_half_of_a_bound_spent_is_overdue():
    engine = Engine("a", 1, 2.0)
    assert not engine.overdue(100.0, 10.0)
    waiting(engine, 0.0)
    assert not engine.overdue(5.0, 10.0) and engine.overdue(5.1, 10.0)


def test_requests_weigh_less_as_they_age():
    engine = Engine("a", 1, 2.0)
    assert engine.recent(0.0) == 0.0
    engine.note_request(0.0)
    engine.note_request(0.0)
    assert engine.recent(0.0) == 2.0
    assert engine.recent(RECENT_S) == pytest.approx(2 / 2.718281828, rel=1e-6)
    engine.note_request(RECENT_S)
    assert engine.recent(RECENT_S) == pytest.approx(1 + 2 / 2.718281828, rel=1e-6)
