"""How commands end: errors in words and with a status, Ctrl-C quietly."""

import pytest
import typer

from motet.cli.console import command, plain, print_json, run
from motet.errors import ConfigError


def test_an_error_of_ours_is_a_message_and_a_status(capsys):
    @command
    def wrong():
        raise ConfigError("no such thing", hint="Say another.")

    with pytest.raises(typer.Exit) as ended:
        wrong()
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ")
    assert "no such thing" in said.err and "Say another." in said.err


def test_an_error_of_nobodys_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        command(lambda: 1 / 0)()


def test_work_returns_and_ctrl_c_ends_quietly(capsys):
    async def seven():
        return 7

    async def interrupted():
        raise KeyboardInterrupt

    assert run(seven()) == 7
    with pytest.raises(typer.Exit) as ended:
        run(interrupted())
    assert ended.value.exit_code == 130 and capsys.readouterr().err == ""


def test_json_keeps_what_people_write(capsys):
    print_json({"name": "naïve 🦊"})
    assert capsys.readouterr().out == '{\n  "name": "naïve 🦊"\n}\n'


def test_words_of_others_do_not_command_the_terminal():
    said = "\x1b]52;c;eA==\x07a\tb\n\x1b[2J\x9b1mé\x7f"
    assert plain(said) == "]52;c;eA==a\tb\n[2J1mé"
    assert plain({"a\x1b": [said, 1, None]}) == {"a": [plain(said), 1, None]}


def test_neither_do_those_of_an_error(capsys):
    @command
    def wrong():
        raise ConfigError("\x1b[2Jgone")

    with pytest.raises(typer.Exit):
        wrong()
    assert "\x1b[2J" not in capsys.readouterr().err
