"""experts.yaml is read with every problem located, and nothing is lost on the way."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from motet.config import load, parse
from motet.errors import ConfigError

MINIMAL = "version: 1\nexperts:\n  - id: a\n    engine: fake\n"


def problems_of(text, **options):
    with pytest.raises(ConfigError) as caught:
        parse(text, **options)
    return caught.value.problems


def test_example_is_right():
    config = load("experts.yaml").config
    ids = [expert.id for expert in config.experts]
    assert ids[0] == "smollm" and ids[-1] == "gemma"
    assert {"arithmetic", "units", "sql", "extraction", "triage", "regexes"} < set(ids)
    assert "auto" in config.compositions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["experts.yaml: the file is empty."]),
        ("a: [", ["not valid YAML"]),
        ("version: 1\nversion: 1\n", ["experts.yaml:2: version: the key stands twice"]),
        ("version: 2\nexperts: [{id: a, engine: fake}]", ["experts.yaml:1: version: Input should be 1"]),
        ("version: 1\nexperts: []", ["experts.yaml:2: experts: List should have at least 1 item"]),
        (MINIMAL + "servce: {}\n", ["experts.yaml:5: servce: unknown field 'servce'. Did you mean 'service'?"]),
        (MINIMAL + "    price: {inptu: 3}\n", ["experts.yaml:5: experts[0].price.inptu: unknown field 'inptu'. Did you mean 'input'?"]),
        (MINIMAL + "    capabilities: [tols]\n", ["Did you mean 'tools'?"]),
        (MINIMAL + "  - id: a\n    engine: fake\n", ["experts.yaml:5: experts[1].id: expert id 'a' is taken on line 3."]),
        (MINIMAL + "  - id: b\n", ["experts.yaml:5: experts[1]: field 'engine' is required."]),
        (MINIMAL + "compositions: {c: {router: rulez}}\nrouters: {rules: {kind: x}}", ["experts.yaml:5: compositions.c.router: no router 'rulez'. Did you mean 'rules'?"]),
        (MINIMAL + "compositions: {a: {router: r}}\nrouters: {r: {kind: x}}", ["'a' is an expert's id too"]),
        (MINIMAL + "service: {port: 99999}\n", ["experts.yaml:5: service.port: Input should be less than or equal to 65535, got 99999"]),
        (MINIMAL + "    resources: {replicas: {min: 3, max: 2}}\n", ["min 3 is over max 2"]),
        (MINIMAL.replace("engine", "engin"), ["experts.yaml:3: experts[0]: field 'engine' is required. Did you mean it by 'engin'?"]),
        (MINIMAL + "  - {id: 007, engine: fake}\n", ["experts.yaml:5: experts[1].id: a text is expected here, got 7. Put it in quotes"]),
        (MINIMAL + "  - b\n", ["experts.yaml:5: experts[1]: a mapping is expected here, such as {name: value}, got 'b'."]),
        ("version: 1\nexperts: {id: a}\n", ["experts: a list is expected here, such as [value], got a mapping."]),
    ],
)  # fmt: skip
def test_every_problem_is_located(text, expected):
    found = "\n".join(problems_of(text))
    for part in expected:
        assert part in found


def test_all_problems_come_at_once():
    assert len(problems_of("version: 1\nexperts: [{id: 1}, {engine: fake}]\nx: 1")) == 4


def test_environment():
    text = MINIMAL + "service: {port: '${PORT}', api_keys: ['${KEY:-none}']}\n"
    config = parse(text, env={"PORT": "81"}).config
    assert config.service.port == 81
    assert config.service.api_keys[0].get_secret_value() == "none"
    assert problems_of(text, env={}) == [
        "experts.yaml:5: service.port: environment variable PORT is not set. Set it, or write "
        "${PORT:-default}."
    ]


def test_secrets_are_never_shown():
    text = MINIMAL + "service: {api_keys: ['${KEY}', 7]}\n"
    assert "hunter2" not in "\n".join(problems_of(text, env={"KEY": "hunter2"}))
    config = parse(text.replace(", 7", ""), env={"KEY": "hunter2"}).config
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    "wrong",
    [
        "service: '${KEY}'\n",
        "service: {port: 'x${KEY}y'}\n",
        "service: {host: {a: '${KEY}'}}\n",
        "routers: ['${KEY}']\n",
        "compositions: {c: {router: '${KEY}'}}\n",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", "hunter2\n", "it's 'hunter2' \\", "hunter2" * 100])
def test_a_message_names_the_variable_and_shows_nothing_of_its_value(wrong, value):
    said = "\n".join(problems_of(MINIMAL + wrong, env={"KEY": value}))
    assert "hunter2" not in said


def test_an_empty_variable_takes_the_default():
    text = MINIMAL + "    description: '${WORD:-some}${WORD}'\n"
    assert parse(text, env={"WORD": ""}).config.experts[0].description == "some"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + MINIMAL.encode(),
        MINIMAL.replace("\n", "\r\n").encode(),
        MINIMAL.replace("\n", "\r").encode(),
    ],
    ids=["mark of the byte order", "line ends of Windows", "line ends of old"],
)
def test_files_of_any_editor_are_read(tmp_path, content):
    (tmp_path / "c.yaml").write_bytes(content)
    assert load(tmp_path / "c.yaml").config.experts[0].id == "a"


def test_another_encoding_is_told_with_its_line(tmp_path):
    (tmp_path / "c.yaml").write_bytes(f"{MINIMAL}    description: caf\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"line 5 is no text in UTF-8 \(byte 0xe9\); save it as"):
        load(tmp_path / "c.yaml")


def test_yes_and_no_are_words():
    config = parse(MINIMAL + "    skills: [no, on, yes]\n    optional: true\n").config
    assert config.experts[0].skills == ("no", "on", "yes")
    assert config.experts[0].optional is True


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "nope.yaml")


def test_with_service_checks_values():
    document = parse(MINIMAL)
    assert document.with_service(port=9, host=None).config.service.port == 9
    assert document.config.service.port == 8000
    with pytest.raises(ConfigError, match="service.port"):
        document.with_service(port=-1)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_yaml_is_accepted_or_explained(value):
    try:
        parse(yaml.safe_dump(value), env={})
    except ConfigError as error:
        assert all(problem.startswith("experts.yaml") for problem in error.problems)


def test_a_text_is_shown_without_the_secrets_that_stand_in_it():
    text = """\
version: 1
experts:
  - {id: a, engine: openai, url: "http://bob:hunter22@far/v1", model: m, api_key: sk-written-here,
     headers: {x-team: team-secret, x-env: "${TEAM}"}}
service: {api_keys: [first-key, "${KEY}"], max_body_bytes: 4096}
keys: [{name: ann, key: anns-key, tenant: lab}]
"""
    document = parse(text, env={"TEAM": "from-env", "KEY": "env-key"})
    for secret in ("sk-written-here", "team-secret", "first-key", "anns-key", "hunter22"):
        assert secret not in document.shown
    for kept in ("${TEAM}", "${KEY}", "4096", "tenant: lab", "name: ann", "id: a"):
        assert kept in document.shown
