"""What a LoRA adapter's own files say, before an engine is asked to load it."""

import pytest
from tests.experts.adapters import ADAPTER, write_adapter

from motet.composer.assembly import assemble
from motet.config import parse
from motet.errors import ConfigError


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
