"""`motet replay`: what would be decided now, as people and programs read it."""

import asyncio
import json

import pytest
from tests.cli.command import motet
from tests.lab.coldstart.world import GREETER, world
from tests.service.test_replay import STORE, asked, served

from motet.composer.assembly import assemble
from motet.config import load
from motet.lab.coldstart import learn
from motet.lab.tabulation import started


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config that was served for a while, before its router learned a greeter."""
    return asyncio.run(_served(tmp_path_factory.mktemp("replay")))


async def _served(folder):
    path = await world(folder, GREETER)
    path.write_text(path.read_text() + STORE)
    document = load(path)
    greeter = {"greeter": assemble(document).experts["greeter"]}
    await served(document, asked(20))
    async with started(greeter.values()):
        learned = await learn(document, greeter, prompts=30)
    path.with_name("other.yaml").write_text(learned.text)
    return path


def test_the_same_config_changes_nothing(config):
    shown = motet("replay", "--config", config)
    assert shown.returncode == 0, shown.stderr
    assert "20 decided again: 0 ask others, 0 are led by another." in shown.stdout


@pytest.mark.parametrize("how", ["config", "artifact"])
def test_another_config_or_artifact_says_from_whom_to_whom(config, how):
    instead = (
        ["--with", config.with_name("other.yaml")]
        if how == "config"
        else ["--artifact", f"learned={config.with_name('auto@2')}"]
    )
    shown = motet("replay", "--config", config, *instead)
    assert "greeter" in shown.stdout and "Expected quality" in shown.stdout, shown
    said = json.loads(motet("replay", "--config", config, "--json", *instead).stdout)
    assert said["decisions"] == 20 and said["changed"] > 5 and said["skipped"] == {}
    assert said["expected"]["quality"]["now"] > said["expected"]["quality"]["then"]
    one = next(row for row in said["rows"] if not row["same"] and row["now"][0] == "greeter")
    told = motet("replay", one["id"], "--config", config, *instead).stdout
    assert f"then: {one['then'][0]}" in told and "now:  greeter" in told and "because:" in told


def test_what_is_wrong_is_said_in_words(config, tmp_path):
    wrong = motet("replay", "--config", config, "--artifact", "learned")
    assert wrong.returncode == 1 and "is not ROUTER=DIR" in wrong.stderr
    nobody = motet("replay", "nobody", "--config", config)
    assert nobody.returncode == 1 and "No such decision" in nobody.stderr
    kept = config.read_text()
    silent = config.with_name("silent.yaml")
    silent.write_text(kept.replace("store.db, text: true", "silent.db"))
    asyncio.run(served(load(silent), ["hello"]))
    shown = motet("replay", "--config", silent)
    assert "0 decided again" in shown.stdout and "store.text: true" in shown.stdout
