"""What a config's router decides, over three fake experts."""

from tests.asks import NOBODY

from motet.composer.assembly import assemble
from motet.config import parse
from motet.types import ExpertCard, Fleet, Member, Request

EXPERTS = (
    "version: 1\nexperts: [{id: a, engine: fake}, {id: b, engine: fake}, {id: c, engine: fake}]\n"
)
FLEET = Fleet(Member(ExpertCard(id=name, engine="fake")) for name in ("a", "b", "c"))
ASK = Request(model="m", messages=({"role": "user", "content": "hi"},))


async def decide(routers, fleet=FLEET):
    assembly = assemble(parse(EXPERTS + routers + "\ncompositions: {m: {router: front}}"))
    return await assembly.compositions["m"].router.route(ASK, fleet, NOBODY)
