"""LangChain's standard tests for chat models, through each protocol; run by LangChain's own pytest."""

import os

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests

URL = os.environ["MOTET_URL"]


class Standard(ChatModelIntegrationTests):
    # Its tests with pictures fetch them from a site of others; images are tested in tests/api.
    @property
    def has_tool_choice(self):
        return True


class TestChat(Standard):
    @property
    def chat_model_class(self):
        return ChatOpenAI

    @property
    def chat_model_params(self):
        return {
            "base_url": f"{URL}/v1",
            "api_key": "none",
            "model": "obliging",
            "stream_usage": True,
        }


class TestResponses(Standard):
    @property
    def chat_model_class(self):
        return ChatOpenAI

    @property
    def chat_model_params(self):
        return {
            "base_url": f"{URL}/v1",
            "api_key": "none",
            "model": "obliging",
            "use_responses_api": True,
        }


class TestMessages(Standard):
    @property
    def chat_model_class(self):
        return ChatAnthropic

    @property
    def chat_model_params(self):
        return {"base_url": URL, "api_key": "none", "model": "obliging", "max_tokens": 500}
