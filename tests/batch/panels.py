"""Panels and votes for the tests of batches."""

from tests.batch.helpers import line

FLEET = """
version: 1
experts:
  - {id: red, engine: fake, tokens: ["The answer is 4"]}
  - {id: blue, engine: fake, tokens: ["The answer is 5"]}
  - {id: rose, engine: fake, tokens: ["It is 2 + 2, so the answer is 4"]}
  - {id: editor, engine: fake}
  - {id: dead, engine: fake, fail_after: 0, error: rejected}
routers:
  three: {kind: constant, expert: red, fallbacks: [blue, rose]}
  hurt: {kind: constant, expert: dead, fallbacks: [blue, rose]}
compositions:
  council: {router: three, strategy: {kind: aggregate, aggregator: editor}}
  wounded: {router: hurt, strategy: {kind: aggregate, aggregator: editor}}
  layered: {router: three, strategy: {kind: aggregate, aggregator: red, layers: 2}}
  jury: {router: three, strategy: {kind: vote}}
"""


def lines(model, count=6):
    return [line(f"q{n}", f"2+2? ({n})", model=model) for n in range(count)]
