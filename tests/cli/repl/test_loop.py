"""The conversation in a real terminal."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.client.fake import Answer, Asked, FakeDaemon, failure, objects


def say(text: str) -> Answer:
    return objects(
        {"message": {"role": "assistant", "content": text}}, {"message": {"content": ""}, "done": True, "eval_count": 7}
    )


@pytest.fixture
def talk(fake: FakeDaemon, tmp_path: Path) -> Iterator[Terminal]:
    """A conversation that has reached its first prompt."""
    fake.on("POST", "/api/show", objects({"capabilities": ["completion"], "license": "MIT"}))
    fake.on("POST", "/api/generate", objects({"done": True, "done_reason": "load"}))
    fake.on("POST", "/api/chat", say("answer one"))
    with Terminal("run", "m", LCRT_HOST=fake.host, HOME=str(tmp_path)) as terminal:
        terminal.expect(">>> ")
        yield terminal


def chats(fake: FakeDaemon) -> list[list[tuple[str, str]]]:
    """Roles and contents of the messages of each chat request."""
    found = []
    for body in fake.bodies("/api/chat"):
        messages = body["messages"]
        assert isinstance(messages, list)
        found.append([(message["role"], message["content"]) for message in messages])
    return found


def test_a_conversation_is_remembered_and_ends_with_bye(talk: Terminal, fake: FakeDaemon) -> None:
    talk.type("hello\r")
    talk.expect("answer one")
    talk.expect(">>> ")
    fake.on("POST", "/api/chat", say("answer two"))
    talk.type("again\r")
    talk.expect("answer two")
    talk.expect(">>> ")
    talk.type("/bye\r")
    assert talk.wait() == 0
    assert chats(fake) == [
        [("user", "hello")],
        [("user", "hello"), ("assistant", "answer one"), ("user", "again")],
    ]


def test_ctrl_c_stops_the_answer_and_not_the_conversation(talk: Terminal, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", objects({"message": {"role": "assistant", "content": "endless"}}, hangs=True))
    talk.type("go\r")
    talk.expect("endless")
    talk.interrupt()
    talk.expect(">>> ")
    assert fake.left.wait(10)
    fake.on("POST", "/api/chat", say("fine"))
    talk.type("and now?\r")
    talk.expect("fine")
    assert chats(fake)[-1] == [("user", "go"), ("assistant", "endless"), ("user", "and now?")]


def test_ctrl_c_at_the_prompt_drops_the_line_or_tells_how_to_leave(talk: Terminal, fake: FakeDaemon) -> None:
    talk.type("half a line")
    talk.expect("half a line")
    talk.interrupt()
    talk.interrupt()
    talk.expect("Use Ctrl + d or /bye to exit.")
    talk.expect(">>> ")
    talk.type("\x04")
    assert talk.wait() == 0
    assert chats(fake) == []


def test_three_quotes_make_one_message_of_several_lines(talk: Terminal, fake: FakeDaemon) -> None:
    talk.type('"""one\r')
    talk.expect("...")
    talk.type('two"""\r')
    talk.expect("answer one")
    assert chats(fake) == [[("user", "one\ntwo")]]


def test_ctrl_j_and_pasted_line_ends_do_not_send(talk: Terminal, fake: FakeDaemon) -> None:
    talk.type("one\ntwo \x1b[200~three\nfour\x1b[201~\r")
    talk.expect("answer one")
    assert chats(fake) == [[("user", "one\ntwo three\nfour")]]


def test_an_editor_writes_the_message(fake: FakeDaemon, talk: Terminal, tmp_path: Path) -> None:
    del talk
    editor = tmp_path / "editor"
    editor.write_text(f"#!{sys.executable}\nimport sys\nopen(sys.argv[1], 'w').write('from the editor')\n")
    editor.chmod(0o755)
    with Terminal("run", "m", LCRT_HOST=fake.host, HOME=str(tmp_path), LCRT_EDITOR=str(editor)) as terminal:
        terminal.expect(">>> ")
        terminal.type("\x07")
        terminal.expect("from the editor")
        terminal.type("\r")
        terminal.expect("answer one")
    assert chats(fake) == [[("user", "from the editor")]]


def test_an_error_does_not_end_the_conversation(talk: Terminal, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/chat", failure(500, "out of memory"))
    talk.type("lost\r")
    talk.expect("Error: out of memory")
    talk.expect(">>> ")
    fake.on("POST", "/api/chat", say("better"))
    talk.type("kept\r")
    talk.expect("better")
    assert chats(fake)[-1] == [("user", "kept")]


def test_settings_reach_the_request(talk: Terminal, fake: FakeDaemon) -> None:
    for line, answer in [
        ("/set parameter seed 7", "Set parameter 'seed' to '7'"),
        ("/set system Be brief.", "Set system message."),
        ("/set verbose", "Set 'verbose' mode."),
    ]:
        talk.type(f"{line}\r")
        talk.expect(answer)
        talk.expect(">>> ")
    talk.type("hello\r")
    talk.expect("eval count:           7 token(s)")
    assert fake.bodies("/api/chat")[0]["options"] == {"seed": 7}
    assert chats(fake) == [[("system", "Be brief."), ("user", "hello")]]


def test_show_list_save_and_load(talk: Terminal, fake: FakeDaemon) -> None:
    fake.on("GET", "/api/tags", objects({"models": [{"name": "listed:latest"}]}))
    fake.on("POST", "/api/create", objects({"status": "success"}))
    talk.type("hello\r")
    talk.expect("answer one")
    talk.expect(">>> ")
    for line, answer in [
        ("/show license", "MIT"),
        ("/list", "listed:latest"),
        ("/save mine", "Created new model 'mine'"),
        ("/load other", "Loading model 'other'"),
    ]:
        talk.type(f"{line}\r")
        talk.expect(answer)
        talk.expect(">>> ")
    talk.type("fresh\r")
    talk.expect("answer one")
    saved = fake.bodies("/api/create")[0]
    assert (saved["model"], saved["from"], len(json.loads(json.dumps(saved["messages"])))) == ("mine", "m", 2)
    assert fake.bodies("/api/chat")[-1]["model"] == "other"
    assert chats(fake)[-1] == [("user", "fresh")]


def test_loading_what_is_not_there_keeps_the_model(talk: Terminal, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", failure(404, "model 'x' not found"))
    talk.type("/load x\r")
    talk.expect("Couldn't find model 'x'")
    talk.expect(">>> ")
    talk.type("hello\r")
    talk.expect("answer one")
    assert fake.bodies("/api/chat")[-1]["model"] == "m"


def test_messages_of_the_model_are_repeated_first(fake: FakeDaemon, tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "old question"}, {"role": "assistant", "content": "old answer"}]
    fake.on("POST", "/api/show", objects({"messages": messages}))
    fake.on("POST", "/api/generate", objects({"done": True}))
    with Terminal("run", "m", LCRT_HOST=fake.host, HOME=str(tmp_path)) as terminal:
        terminal.expect(">>> old question")
        terminal.expect("old answer")
        terminal.expect(">>> ")


def test_words_wrap_at_the_edge_of_the_terminal(talk: Terminal, fake: FakeDaemon) -> None:
    def words(asked: Asked) -> Answer:
        del asked
        return say("word " * 15 + "w" * 10)

    fake.on("POST", "/api/chat", words)
    talk.type("hello\r")
    talk.expect("word word \r\nwwwwwwwwww")


def test_history_is_kept_in_a_file_of_at_most_100_entries(talk: Terminal, fake: FakeDaemon, tmp_path: Path) -> None:
    talk.type("hello\r")
    talk.expect("answer one")
    talk.expect(">>> ")
    talk.type("/set nohistory\r")
    talk.expect("Set 'nohistory' mode.")
    talk.expect(">>> ")
    talk.type("secret\r")
    talk.expect("answer one")
    talk.expect(">>> ")
    talk.type("\x04")
    assert talk.wait() == 0
    file = tmp_path / ".lcrt" / "history"
    assert b"+hello\n" in file.read_bytes()
    assert b"secret" not in file.read_bytes()
    file.write_bytes(b"".join(b"\n# then\n+message %d\n" % n for n in range(150)))
    with Terminal("run", "m", LCRT_HOST=fake.host, HOME=str(tmp_path)) as terminal:
        terminal.expect(">>> ")
        terminal.type("\x1b[A")
        terminal.expect("message 149")
        terminal.type("\x03\x04")
        assert terminal.wait() == 0
    kept = file.read_bytes()
    assert kept.count(b"+message") == 100
    assert b"+message 50\n" in kept
