"""Libraries of others against a service: each asks something, and says what it understood."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

URL = os.environ["MOTET_URL"]


def ask_llm():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "extra-openai-models.yaml").write_text(
            json.dumps(
                [
                    {
                        "model_id": "motet",
                        "model_name": "echo",
                        "api_base": f"{URL}/v1",
                        "supports_tools": True,
                    }
                ]
            )
        )
        program = [
            Path(sys.executable).with_name("llm"),
            "-m",
            "motet",
            "--key",
            "none",
            "good day",
        ]
        said = subprocess.run(
            program, env={**os.environ, "LLM_USER_PATH": folder}, capture_output=True, text=True
        )
    assert said.stdout.strip() == "good day", said


def ask_instructor():
    import instructor
    from openai import OpenAI
    from pydantic import BaseModel

    class Box(BaseModel):
        width: int
        name: str

    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
        client = instructor.from_openai(OpenAI(base_url=f"{URL}/v1", api_key="none"), mode=mode)
        said = [{"role": "user", "content": "a box of width 7, called 'crate'"}]
        box = client.chat.completions.create(model="obliging", response_model=Box, messages=said)
        assert (box.width, box.name) == (7, "crate"), box


def ask_pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    theirs = OpenAIProvider(base_url=f"{URL}/v1", api_key="none")
    # Its Messages model does not run with the Anthropic library that LangChain's wants beside it.
    models = (
        OpenAIChatModel("obliging", provider=theirs),
        OpenAIResponsesModel("obliging", provider=theirs),
    )
    for model in models:
        doubled = []

        def double(number: int) -> int:
            """Double a number."""
            doubled.append(number)  # noqa: B023 - called within this turn
            return 2 * number

        result = Agent(model, tools=[double]).run_sync("double 21 please")
        assert doubled == [21] and "42" in result.output, (
            type(model).__name__,
            doubled,
            result.output,
        )


def ask_litellm():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    said = [{"role": "user", "content": "good day"}]
    for model, base in (("openai/echo", f"{URL}/v1"), ("anthropic/echo", URL)):
        options = {"model": model, "api_base": base, "api_key": "none", "messages": said}
        assert litellm.completion(**options).choices[0].message.content == "good day"
        pieces = litellm.completion(**options, stream=True)
        assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == "good day"
    answer = litellm.responses(
        model="openai/echo", api_base=f"{URL}/v1", api_key="none", input="good day"
    )
    assert answer.output[0].content[0].text == "good day"


def ask_openai_agents_way():
    """The helpers of OpenAI's library that agents are built on."""
    from openai import AsyncOpenAI
    from pydantic import BaseModel

    class Box(BaseModel):
        width: int

    async def ask():
        async with AsyncOpenAI(base_url=f"{URL}/v1", api_key="none") as client:
            said = [{"role": "user", "content": "a box of width 7"}]
            parsed = await client.chat.completions.parse(
                model="obliging", messages=said, response_format=Box
            )
            assert parsed.choices[0].message.parsed == Box(width=7)
            parsed = await client.responses.parse(
                model="obliging", input="a box of width 7", text_format=Box
            )
            assert parsed.output_parsed == Box(width=7)
            async with client.chat.completions.stream(model="echo", messages=said) as stream:
                final = await stream.get_final_completion()
            assert final.choices[0].message.content == "a box of width 7"

    asyncio.run(ask())


def ask_lm_eval():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "questions.json").write_text(
            "\n".join(
                json.dumps({"question": text, "answer": text}) for text in ("good day", "well then")
            )
        )
        Path(folder, "echoes.yaml").write_text(
            "task: echoes\ndataset_path: json\n"
            f"dataset_kwargs: {{data_files: {{test: {folder}/questions.json}}}}\n"
            "test_split: test\noutput_type: generate_until\ndoc_to_text: '{{question}}'\ndoc_to_target: '{{answer}}'\n"
            "generation_kwargs: {until: ['###'], max_gen_toks: 20}\n"
            "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
        )
        program = [
            *(Path(sys.executable).with_name("lm_eval"), "--model", "local-chat-completions"),
            *("--model_args", f"model=echo,base_url={URL}/v1/chat/completions,num_concurrent=2"),
            *(
                "--tasks",
                "echoes",
                "--include_path",
                folder,
                "--apply_chat_template",
                "--output_path",
                f"{folder}/out",
            ),
        ]
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "none",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HOME": folder,
        }
        said = subprocess.run(
            list(map(str, program)), env=environment, capture_output=True, text=True
        )
        results = list(Path(folder, "out").rglob("results*.json"))
        assert results, said.stderr[-2000:]
        assert json.loads(results[0].read_text())["results"]["echoes"]["exact_match,none"] == 1.0


if __name__ == "__main__":
    globals()[f"ask_{sys.argv[1]}"]()
