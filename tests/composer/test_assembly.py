"""The second phase of validation: each component's options, with line, field and remedy."""

import pytest
from tests.experts.adapters import ADAPTER, VLLM

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ConfigError
from motet.experts import ENGINES

HEAD = "version: 1\nexperts:\n  - id: a\n    engine: fake\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("fake", "faek"), "experts.yaml:4: experts[0].engine: unknown engine 'faek'. Did you mean 'fake'?"),
        (HEAD + "    tokns: [x]\n", "experts.yaml:5: experts[0].tokns: unknown field 'tokns'. Did you mean 'tokens'?"),
        (HEAD + "    delay_s: -1\n", "experts.yaml:5: experts[0].delay_s: Input should be greater than or equal to 0"),
        (HEAD + "    error: fialed\n", "Did you mean 'failed'?"),
        (HEAD + "  - {id: b, engine: openai, url: ftp://x, model: m}\n", "experts.yaml:5: experts[1].url: expected a URL"),
        (HEAD + "  - {id: b, engine: openai, model: m, url: 'http://[::1/v1'}\n", "experts.yaml:5: experts[1].url: this is no URL: Invalid IPv6 URL"),
        (HEAD + "  - {id: b, engine: openai, model: m, url: 'http://x:99999/v1'}\n", "experts[1].url: this is no URL: Port out of range"),
        (HEAD + "  - {id: b, engine: transformers, model: no/weights.gguf}\n", "experts.yaml:5: experts[1].model: Model 'no/weights.gguf': there is no "),
        (HEAD + "  - {id: b, engine: vllm, model: ./weights.gguf}\n", "experts.yaml:5: experts[1].model: Model './weights.gguf': there is no "),
        (HEAD + "routers:\n" + "".join(f"  r{n}: {{kind: chain, of: [r{n + 1}]}}\n" for n in range(900)) + "  r900: {kind: constant, expert: a}\n", "routers stand over 32 deep in one another"),
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
