from pathlib import Path

import pytest

from lcrt.cli.repl.commands import is_open, obey
from lcrt.cli.repl.effects import Ask, Effect, KeepHistory, ListModels, Load, Quit, Save, Say, Show
from lcrt.cli.session import Session

HERE = Session("m").said("user", "hi").said("assistant", "yo")


def effect(line: str) -> Effect:
    session, effects = obey(HERE, line)
    assert session == HERE
    assert len(effects) == 1
    return effects[0]


def after(line: str, said: str) -> Session:
    session, effects = obey(HERE, line)
    assert effects == (Say(said),)
    return session


def complaint(line: str) -> str:
    found = effect(line)
    assert isinstance(found, Say)
    assert found.talk
    return found.text


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("hello there", Ask("hello there")),
        ('"""a\nb"""', Ask("a\nb")),
        ('"""\na\n"""', Ask("\na\n")),
        ("/show info", Show("info")),
        ("/show template", Show("template")),
        ("/load other", Load("other")),
        ("/save mine", Save("mine")),
        ("/list", ListModels()),
        ("/set history", KeepHistory(on=True)),
        ("/set nohistory", KeepHistory(on=False)),
        ("/bye", Quit()),
        ("  /exit ", Quit()),
    ],
)
def test_a_line_is_a_message_or_a_command(line: str, wanted: Effect) -> None:
    assert effect(line) == wanted


def test_an_empty_line_is_nothing() -> None:
    assert obey(HERE, "  \n") == (HERE, ())


def test_a_path_that_exists_is_a_message(tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.touch()
    assert effect(f"{file} what is it?") == Ask(f"{file} what is it?")
    assert complaint(f"{tmp_path}/absent") == f"Unknown command '{tmp_path}/absent'. Type /? for help"


@pytest.mark.parametrize(
    ("line", "said", "options"),
    [
        ("/set parameter num_ctx 4096", "Set parameter 'num_ctx' to '4096'", {"num_ctx": 4096}),
        ("/set parameter temperature 0.5", "Set parameter 'temperature' to '0.5'", {"temperature": 0.5}),
        ("/set parameter stop a b", "Set parameter 'stop' to 'a, b'", {"stop": ["a", "b"]}),
    ],
)
def test_parameters_are_typed(line: str, said: str, options: dict[str, object]) -> None:
    assert after(line, said).options == options


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/set parameter num_ctx abc", 'Couldn\'t set parameter: "invalid int value [abc]"'),
        ("/set parameter nosuch 1", "Couldn't set parameter: \"unknown parameter 'nosuch'\""),
    ],
)
def test_wrong_parameters_change_nothing(line: str, text: str) -> None:
    assert complaint(line) == text


@pytest.mark.parametrize(
    ("line", "said", "name", "value"),
    [
        ("/set system Be brief.", "Set system message.", "system", "Be brief."),
        ('/set system """Be\nbrief."""', "Set system message.", "system", "Be\nbrief."),
        ("/set verbose", "Set 'verbose' mode.", "verbose", True),
        ("/set quiet", "Set 'quiet' mode.", "verbose", False),
        ("/set wordwrap", "Set 'wordwrap' mode.", "wordwrap", True),
        ("/set nowordwrap", "Set 'nowordwrap' mode.", "wordwrap", False),
        ("/set format json", "Set format to 'json' mode.", "format", "json"),
        ("/set noformat", "Disabled format.", "format", ""),
        ("/set think", "Set 'think' mode.", "think", True),
        ("/set think high", "Set 'think' mode to 'high'.", "think", "high"),
        ("/set nothink", "Set 'nothink' mode.", "think", False),
        ("/clear", "Cleared session context", "messages", ()),
    ],
)
def test_settings_change_the_session_and_say_so(line: str, said: str, name: str, value: object) -> None:
    changed = after(line, said)
    assert getattr(changed, name) == value
    assert changed == HERE.having(**{name: value})


def test_clearing_keeps_the_system_message() -> None:
    assert obey(HERE.having(system="s"), "/clear")[0].system == "s"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/nosuch", "Unknown command '/nosuch'. Type /? for help"),
        ("/set nosuch", "Unknown command '/set nosuch'. Type /? for help"),
        ("/show nosuch", "Unknown command '/show nosuch'. Type /? for help"),
        ("/set think loud", "Unknown level 'loud': use high, medium, low or max"),
        ("/set format yaml", "Invalid or missing format. For JSON mode use '/set format json'"),
    ],
)
def test_unknown_things_are_complained_of(line: str, text: str) -> None:
    assert complaint(line) == text


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("/?", "/bye, /exit"),
        ("/help", "/bye, /exit"),
        ("/? set", "/set parameter NAME VALUE"),
        ("/help /set", "/set parameter NAME VALUE"),
        ("/? show", "/show modelfile"),
        ("/? shortcuts", "Ctrl + g"),
        ("/set", "/set parameter NAME VALUE"),
        ("/set parameter", "num_ctx"),
        ("/set parameter top_k", "num_ctx"),
        ("/show", "/show modelfile"),
        ("/load", "/load MODEL"),
        ("/save", "/save MODEL"),
        ("/set system", "/set system TEXT"),
    ],
)
def test_help_is_talk(line: str, word: str) -> None:
    assert word in complaint(line)


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ("hello", False),
        ('"""', True),
        ('"""hello', True),
        ('"""hello"""', False),
        ('""""""', False),
        ('"""""', True),
        ('"""a\nb\n""" ', False),
        ('say """hello', False),
        ('/set system """a', True),
        ('/set system """a"""', False),
    ],
)
def test_three_quotes_begin_and_end_a_message_of_several_lines(text: str, open_: bool) -> None:
    assert is_open(text) is open_
