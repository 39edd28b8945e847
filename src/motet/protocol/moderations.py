"""Moderations: what clients send, the object they read, and labels that come later."""

from __future__ import annotations

from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from motet.ids import new_id
from motet.protocol.body import checked, json_of
from motet.protocol.texts import TextsBody, WholeFramer, bounded, fault
from motet.types import ANYBODY, Caller, Request, Task, Texts, Usage, Verdict
from motet.whole import Whole

MOST_INPUTS = 64
_OPENAI = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit",
    "illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent", "sexual",
    "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
"""Categories that OpenAI's clients have fields for; those that nobody judges are false and 0."""


def inputs_of(value: Any) -> list[str]:
    """Return the texts in any of OpenAI's forms: a text, several, or parts of the type `text`.

    Raises
    ------
    RequestError
        It is none of them, or too much.
    """
    return [_input(each, number) for number, each in enumerate(bounded(value, MOST_INPUTS))]


class ModerationBody(TextsBody):
    """`POST /v1/moderations`."""

    model: str | None = Field(
        None,
        min_length=1,
        description="An ensemble or a classifier; the first ensemble of the config when absent.",
    )
    input: Annotated[Any, AfterValidator(inputs_of)] = Field(
        description=f"A text, or a list of up to {MOST_INPUTS}."
    )
    _id: str = PrivateAttr(default_factory=lambda: new_id("modr"))
    _asked: str = PrivateAttr(default="")

    def request(self, model: str, caller: Caller = ANYBODY) -> Request:
        """Return the request this body asks `model`; its id is the answer's."""
        self._asked = model
        texts = Texts(task=Task.MODERATE, inputs=tuple(self.input))
        return Request(model=model, texts=texts, user=self.user, caller=caller, id=self._id)

    def framer(self) -> ModerationFramer:
        """Return what frames the answer."""
        return ModerationFramer(self._id, self._asked)


class ModerationFramer(WholeFramer):
    """OpenAI's moderation object.

    Parameters
    ----------
    model
        Who judges.
    """

    def __init__(self, id: str, model: str) -> None:
        self._id = id
        self._model = model

    def whole(self, answer: Whole, author: str, usage: Usage, explanation: Any) -> bytes:
        """Return a result for each text, in order."""
        values = [each for index in sorted(answer.choices) for each in answer.choices[index].values]
        body: dict[str, Any] = {
            "id": self._id,
            "model": self._model,
            "results": [_result(verdict) for verdict in values],
        }
        if explanation is not None:
            body["motet"] = explanation
        return orjson.dumps(body)


class LabelBody(BaseModel):
    """`POST /v1/moderations/labels`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(min_length=1, description="Of the moderation.")
    index: Annotated[int, Field(ge=0, lt=MOST_INPUTS)] = 0
    """Which of its results."""
    categories: dict[str, bool] | None = Field(
        None, description="What is so, of each category that is known; others teach nothing."
    )
    flagged: bool | None = Field(
        None, description="False says that no category holds; true needs `categories`."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.categories == {} or (self.categories is None and self.flagged is None):
            raise ValueError("a label says what is so: categories, or flagged: false")
        if self.flagged is not None and self.categories is None and self.flagged:
            raise ValueError("flagged: true does not say which category holds; name it")
        if self.flagged is False and self.categories and any(self.categories.values()):
            raise ValueError("flagged: false, and a category that holds, cannot both be so")
        return self

    @classmethod
    def read(cls, content: bytes) -> LabelBody:
        """Return the body in `content`.

        Raises
        ------
        RequestError
            It is not JSON, or not of this form; names the field.
        """
        return checked(json_of(content), cls.model_validate)


def _input(value: Any, number: int) -> str:
    if isinstance(value, dict) and value.get("type") == "text":
        value = value.get("text")
    if isinstance(value, dict) and value.get("type") == "image_url":
        raise fault("texts are judged here, and no images", value, number)
    if not isinstance(value, str):
        raise fault("must be text", value, number)
    return value


def _result(verdict: Verdict) -> dict[str, Any]:
    scores = {**dict.fromkeys(_OPENAI, 0.0), **verdict.scores}
    return {
        "flagged": verdict.flagged,
        "categories": {name: score >= verdict.threshold for name, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": {name: ["text"] for name in scores},
    }
