"""Calls between applications: what is returned, what is raised, and who is asked."""

from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError
from ray.serve.schema import ApplicationStatus, ReplicaState

from motet.deploy.applications import Applications, overview
from motet.errors import DeployError, ExpertUnavailable


def serve(answer):
    """Return a Serve with one application, whose method `say` gives `answer` or raises it."""

    async def played(argument):
        if isinstance(answer, Exception) and not isinstance(answer, ExpertUnavailable):
            raise answer
        return answer if answer is not None else argument

    asked = []

    def handle(name, app_name):
        asked.append((name, app_name))
        if name != "known":
            raise KeyError(name)
        return SimpleNamespace(say=SimpleNamespace(remote=played))

    return SimpleNamespace(get_deployment_handle=handle, asked=asked)


async def test_an_answer_comes_back_and_the_handle_is_kept():
    controller = serve(None)
    applications = Applications(controller)
    assert [await applications.call("known", "say", n) for n in (1, 2)] == [1, 2]
    assert controller.asked == [("known", "known")]


async def test_an_error_that_is_returned_is_raised():
    with pytest.raises(ExpertUnavailable, match="gone"):
        await Applications(serve(ExpertUnavailable("e", "gone"))).call("known", "say", 1)


async def test_who_is_not_there_or_dies_is_named():
    with pytest.raises(DeployError, match="other is not deployed yet"):
        await Applications(serve(None)).call("other", "say")
    with pytest.raises(DeployError, match="known does not answer"):
        await Applications(serve(ActorDiedError())).call("known", "say", 1)


def test_what_the_controller_says_in_plain_words_is_read():
    replicas = [{"state": "RUNNING"}, {"state": "STARTING"}, {"state": "RUNNING"}]
    deployment = {
        "status": "UPDATING",
        "status_trigger": "CONFIG_UPDATE_STARTED",
        "message": "one more",
        "replicas": replicas,
        "deployment_config": {"num_replicas": 3},
    }
    app = {"status": "DEPLOYING", "message": "", "last_deployed_time_s": 1.0}
    said = overview({**app, "deployments": {"pool": deployment}})
    assert said.status is ApplicationStatus.DEPLOYING
    pool = said.deployments["pool"]
    assert pool.replica_states == {ReplicaState.RUNNING: 2, ReplicaState.STARTING: 1}
    assert pool.message == "one more"
