"""`motet chat`: one question, or a talk."""

from tests.cli.command import motet


def test_against_a_running_service(service):
    chat = motet("chat", "good day", "--url", service.url)
    assert chat.stdout == "good day\n" and "echo" in chat.stderr
    talk = motet("chat", "--url", service.url, input="one\n/new\ntwo\n/quit\n")
    assert "one" in talk.stdout and "two" in talk.stdout


def test_failures_are_told(service):
    broken = motet("chat", "x", "--url", service.url, "--model", "breaks")
    assert broken.returncode == 1 and "scripted failure" in broken.stderr
    unknown = motet("chat", "x", "--url", service.url, "--model", "nope")
    assert unknown.returncode == 1 and "does not exist" in unknown.stderr


def test_no_service():
    gone = motet("chat", "x", "--url", "http://127.0.0.1:9")
    assert gone.returncode == 1 and "motet serve" in gone.stderr


def test_a_failed_answer_does_not_end_the_talk(service):
    talk = motet("chat", "--url", service.url, "--model", "breaks", input="one\ntwo\n")
    assert talk.returncode == 0 and talk.stdout.count("> ") == 3
    assert talk.stderr.count("scripted failure") == 2
