"""Waiting for the experts of a service: not for ever, and with the reason."""

import pytest
from tests.conftest import FLEET

from motet.cli import served
from motet.config import parse
from motet.errors import DeployError


def test_a_service_whose_experts_are_ready(service):
    with served.served(parse(FLEET), service.url, {"echo", "coder"}, None) as url:
        assert url == service.url


def test_an_expert_that_stays_down_is_given_up(service):
    with pytest.raises(DeployError, match="'offline' .* is down .gone fishing"):
        with served.served(parse(FLEET), service.url, {"offline"}, None, down_s=0.2):
            pass


def test_an_expert_that_is_not_there(service):
    with pytest.raises(DeployError, match="no expert 'ecko'. Did you mean 'echo'"):
        with served.served(parse(FLEET), service.url, {"ecko"}, None):
            pass
