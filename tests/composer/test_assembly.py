"""The second phase of validation: each component's options, with line, field and remedy."""

import json
from pathlib import Path

import pytest

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ConfigError
from motet.experts import ENGINES

HEAD = "version: 1\nexperts:\n  - id: a\n    engine: fake\n"
VLLM = "version: 1\nexperts:\n  - {id: m, engine: vllm, model: org/name}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("fake", "faek"), "experts.yaml:4: experts[0].engine: unknown engine 'faek'. Did you mean 'fake'?"),
        (HEAD + "    tokns: [x]\n", "experts.yaml:5: experts[0].tokns: unknown field 'tokns'. Did you mean 'tokens'?"),
        (HEAD + "    delay_s: -1\n", "experts.yaml:5: experts[0].delay_s: Input should be greater than or equal to 0"),
        (HEAD + "    error: fialed\n", "Did you mean 'failed'?"),
        (HEAD + "  - {id: b, engine: openai, url: ftp://x, model: m}\n", "experts.yaml:5: experts[1].url: String should match pattern"),
        (HEAD + "  - {id: b, engine: openai, url: http://x}\n", "experts.yaml:5: experts[1]: field 'model' is required."),
        (HEAD + "  - {id: b, engine: vllm}\n", "give either model or base"),
        (HEAD + "  - {id: b, engine: vllm, base: a}\n", "base and adapter belong together"),
        (HEAD + "  - {id: b, engine: vllm, base: a, adapter: x}\n", "experts[1].base: 'a' is not a vllm expert"),
        (VLLM + "  - {id: b, engine: vllm, base: mm, adapter: x}\n", "experts[1].base: no expert 'mm'. Did you mean 'm'?"),
        (HEAD + "routers: {r: {kind: constant, expert: a}}\ncompositions: {c: {router: r, strategy: {kind: singel}}}\n", "experts.yaml:6: compositions.c.strategy.kind: unknown strategy 'singel'. Did you mean 'single'?"),
        (HEAD + "routers: {r: {kind: constant, expert: a}}\ncompositions: {c: {router: r, strategy: {kind: single, attempts: 0}}}\n", "compositions.c.strategy.attempts"),
    ],
)  # fmt: skip
def test_problems(text, message):
    with pytest.raises(ConfigError) as caught:
        assemble(parse(text))
    assert message in str(caught.value)


def test_all_problems_at_once():
    text = HEAD + "    tokns: [x]\nrouters: {r: {kind: nope}, s: {kind: constant, expert: z}}\n"
    with pytest.raises(ConfigError) as caught:
        assemble(parse(text))
    assert len(caught.value.problems) == 3


ADAPTER = VLLM + "  - {id: b, engine: vllm, base: m, adapter: ads/x}\n"


def write_adapter(folder: Path, **about: object) -> Path:
    folder.mkdir(parents=True)
    said = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "org/name", **about}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    (folder / "adapter_model.safetensors").touch()
    return folder


@pytest.mark.parametrize("trained", ["org/name", "ORG/Name", "pypi:name==1.0", "/a/folder", None])
def test_adapters_share_a_base(tmp_path, trained):
    write_adapter(tmp_path / "ads" / "x", base_model_name_or_path=trained)
    assembly = assemble(parse(ADAPTER, folder=tmp_path))
    assert list(assembly.compositions) == ["m", "b"]
    assert assembly.experts["b"].card.model == "m"


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (
            {"base_model_name_or_path": "org/other"},
            "trained on 'org/other', and 'm' serves 'org/name'",
        ),
        ({"r": 32}, "its rank 32 is over max_lora_rank 16 of 'm'. Set max_lora_rank of 'm' to 32"),
        ({"rank_pattern": {"q_proj": 64}}, "its rank 64 is over"),
        ({"peft_type": "IA3"}, "describes no LoRA adapter"),
    ],
)
def test_adapters_that_do_not_fit_are_refused(tmp_path, about, said):
    write_adapter(tmp_path / "ads" / "x", **about)
    with pytest.raises(ConfigError, match=r"experts\.yaml:\d+: experts\[1\]\.adapter") as raised:
        assemble(parse(ADAPTER, folder=tmp_path))
    assert said in str(raised.value)


def test_adapter_files_that_are_missing_are_named(tmp_path):
    def refused() -> str:
        with pytest.raises(ConfigError) as raised:
            assemble(parse(ADAPTER, folder=tmp_path))
        return str(raised.value)

    folder = write_adapter(tmp_path / "ads" / "xx")
    assert "there is no folder" in refused() and "Did you mean 'xx'" in refused()
    folder.rename(folder.with_name("x"))
    (tmp_path / "ads" / "x" / "adapter_config.json").write_text("{")
    assert "cannot be read" in refused()
    (tmp_path / "ads" / "x" / "adapter_model.safetensors").unlink()
    assert "has no adapter_model.safetensors" in refused()


def test_a_clusters_ingress_does_not_look_for_files(tmp_path):
    """They stand on the nodes of the pools."""
    document = parse(ADAPTER, folder=tmp_path)
    assert list(
        assemble(
            document,
            make=lambda entry, options, setting: ENGINES.load(entry.engine)(
                entry, options, setting
            ),
        ).experts
    ) == ["m", "b"]


def test_tools_need_a_parser():
    plain, tooled = assemble(
        parse(VLLM + "  - {id: t, engine: vllm, model: org/name, tool_parser: hermes}\n")
    ).experts.values()
    assert "tools" not in plain.card.capabilities
    assert "tools" in tooled.card.capabilities
