"""Skills that an expert names: how it is asked, and what of its answers is kept."""

import pytest
from tests.routers.skill.experts import Expert

from motet.routers.skill.annotation import SAMPLES, ExpertAnnotator, keywords_of


async def test_the_expert_is_bound_to_a_schema():
    expert = Expert()
    await ExpertAnnotator("coder").annotate("one", expert)
    schema = expert.asked[0].response_format["json_schema"]["schema"]
    skills = schema["properties"]["skills"]
    assert (skills["minItems"], skills["maxItems"], skills["items"]["maxLength"]) == (2, 5, 20)
    assert {request.temperature for request in expert.asked} == {0.7}


async def test_memory_is_bounded():
    expert = Expert()
    annotator = ExpertAnnotator("coder", kept=2)
    for text in ("one", "two", "three", "three", "one"):
        await annotator.annotate(text, expert)
    assert len(expert.asked) == 4 * SAMPLES


@pytest.mark.parametrize(
    ("answer", "keywords"),
    [
        ('Sure: {"skills": ["SQL", "sql", "Tort_Law"]}.', ("sql", "tort law")),
        ('{"skills": ["a keyword that is too long", 3, null, ""]}', ()),
        ('{"skills": "sql"}', ()),
        ('{"skill": ["sql"]}', ()),
        ('["sql"]', ()),
        ("sql", ()),
        ("", ()),
        ("{" * 10_000 + "}", ()),
    ],
)
def test_answers_are_read_or_left(answer, keywords):
    assert keywords_of(answer) == keywords
