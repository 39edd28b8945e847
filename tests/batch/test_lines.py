"""The lines of a batch: which are refused and how, and what they may ask."""

import json

import pytest
from tests.batch.helpers import line, run_batch, write

from motet.batch.lines import LONGEST_LINE, InputFile, Rules, custom_id_of
from motet.errors import BatchError, InvalidLine
from motet.types import Caller

BAD = [
    ("{oops", "invalid_line", "not valid JSON"),
    ("[1]", "invalid_line", "JSON object"),
    ({"custom_id": "x"}, "invalid_line", "method: field required"),
    ({**line("x"), "custom_id": 7}, "invalid_line", "custom_id"),
    ({**line("x"), "method": "GET"}, "invalid_line", "'POST'"),
    (line("x", url="/v1/chat/completion"), "invalid_line", "Did you mean '/v1/chat/completions'"),
    (line("x", stream=True), "invalid_line", "stream"),
    (line("good"), "invalid_line", "'good' is taken by line 1"),
    (line("x", model="auot"), "model_not_found", "Did you mean 'auto'"),
    (line("x", temperature=9), "invalid_request", "temperature"),
    (line("y", model="dead"), "expert_rejected", "scripted failure"),
]


async def test_bad_lines_are_told_apart_and_the_rest_goes_on(tmp_path):
    done = await run_batch(tmp_path, [line("good"), *(bad for bad, *_ in BAD), "", line("last")])
    assert set(done.texts) == {"good", "last"}
    assert len(done.errors) == len(BAD)
    for number, (each, (_, code, said)) in enumerate(zip(done.errors, BAD, strict=True), start=2):
        fault = each["error"] or each["response"]["body"]["error"]
        assert fault["code"] == code and said in fault["message"]
        if each["error"]:
            assert fault["line"] == number and f"Line {number}:" in fault["message"]
        else:
            assert each["response"]["status_code"] in (400, 404)


async def test_a_default_model_is_for_bodies_that_name_none(tmp_path):
    bare = line("x")
    del bare["body"]["model"]
    done = await run_batch(tmp_path, [bare, line("y", model="b")], model="c")
    assert done.texts == {"x": "see", "y": "bee"}


async def test_completions(tmp_path):
    asked = {"custom_id": "x", "method": "POST", "url": "/v1/completions"}
    done = await run_batch(tmp_path, [{**asked, "body": {"model": "a", "prompt": "one two"}}])
    body = done.out[0]["response"]["body"]
    assert body["object"] == "text_completion" and body["choices"][0]["text"] == "one two"


def test_a_batch_of_one_endpoint_refuses_lines_of_another_and_says_who_asks():
    rules = Rules(endpoint="/v1/completions", caller=Caller(key="k"))
    with pytest.raises(InvalidLine, match="is not an endpoint of this batch"):
        rules.read(json.dumps(line("x")).encode(), "req-1")
    asked = {**line("x", url="/v1/completions"), "body": {"model": "a", "prompt": "hi"}}
    request = rules.read(json.dumps(asked).encode(), "req-1").request
    assert (request.id, request.caller.key, request.prompt) == ("req-1", "k", "hi")


@pytest.mark.parametrize(
    ("raw", "name"),
    [(b'{"custom_id": "x"}', "x"), (b"{", None), (b"[]", None), (b'{"custom_id": 1}', None)],
)
def test_a_line_is_named_as_far_as_it_has_a_name(raw, name):
    assert custom_id_of(raw) == name


def test_lines_are_found_again_at_their_places(tmp_path):
    path = write(tmp_path / "in.jsonl", ["one", "", "drei \u00e4", "  ", "four"])
    with InputFile(path) as file:
        places = list(file.places())
        assert [place.number for place, _ in places] == [1, 3, 5]
        assert [file.read(place.offset, place.size) for place, _ in places] == [
            raw for _, raw in places
        ]
    with pytest.raises(BatchError, match="nowhere.jsonl: cannot be read"):
        InputFile(tmp_path / "nowhere.jsonl")


FORMS = {
    "mark": (b"\xef\xbb\xbf", b"\n"),
    "windows": (b"", b"\r\n"),
    "both, with blank lines": (b"\xef\xbb\xbf", b"\r\n \r\n"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_files_of_any_editor_are_read_to_the_last_line(tmp_path, form):
    mark, end = form
    wanted = [json.dumps(line(name)).encode() for name in ("first", "second", "third")]
    path = tmp_path / "in.jsonl"
    path.write_bytes(mark + end.join(wanted))
    rules = Rules()
    with InputFile(path) as source:
        places = list(source.places())
        assert [rules.read(raw, "r").custom_id for _, raw in places] == ["first", "second", "third"]
        for place, raw in places:
            assert source.read(place.offset, place.size) == raw


def test_a_line_beyond_the_bound_fails_alone_and_is_never_read_whole(tmp_path):
    path = tmp_path / "in.jsonl"
    huge = line("huge", messages=[{"role": "user", "content": "x" * (3 * LONGEST_LINE)}])
    path.write_text("\n".join(json.dumps(each) for each in (line("first"), huge, line("last"))))
    with InputFile(path) as source:
        places = list(source.places())
        assert [place.number for place, _ in places] == [1, 2, 3]
        assert len(places[1][1]) == LONGEST_LINE + 1
        with pytest.raises(InvalidLine, match="longer than 8388608 bytes"):
            Rules().read(places[1][1], "r")
        assert custom_id_of(places[1][1]) is None
        assert Rules().read(places[2][1], "r").custom_id == "last"


def test_what_is_wrong_is_shown_to_a_bound(tmp_path):
    junk = {**line("x"), "url": "ab" * 1_000_000}
    with pytest.raises(InvalidLine) as caught:
        Rules().read(json.dumps(junk).encode(), "r")
    assert len(str(caught.value)) < 500 and "2000000 characters" in str(caught.value)
    latin = json.dumps(line("caf\xe9"), ensure_ascii=False).encode("latin-1")
    with pytest.raises(InvalidLine, match="Save the file as UTF-8"):
        Rules().read(latin, "r")
