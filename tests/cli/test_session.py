from lcrt.cli.session import Session, chat_request, save_request
from lcrt.client.wire import ChatMessage, Shown


def test_a_chat_sends_the_system_message_first_and_everything_set() -> None:
    session = Session("m", system="s", options={"seed": 1}, format="json", think=False, keep_alive="5m").said(
        "user", "hi"
    )
    assert chat_request(session) == {
        "model": "m",
        "messages": (ChatMessage("system", "s"), ChatMessage("user", "hi")),
        "options": {"seed": 1},
        "format": "json",
        "think": False,
        "keep_alive": "5m",
    }


def test_a_plain_chat_sends_nothing_that_was_not_set() -> None:
    assert chat_request(Session("m")) == {"model": "m", "messages": ()}


def test_a_saved_model_begins_with_its_own_messages_and_the_conversation() -> None:
    session = Session("m", system="s", options={"seed": 1}).said("user", "b")
    assert save_request(session, "new", Shown(messages=[ChatMessage("user", "a")])) == {
        "model": "new",
        "from": "m",
        "system": "s",
        "parameters": {"seed": 1},
        "messages": (ChatMessage("user", "a"), ChatMessage("user", "b")),
    }


def test_a_model_saved_without_a_conversation_keeps_what_it_is_made_from() -> None:
    assert save_request(Session("m"), "new", Shown(messages=[ChatMessage("user", "a")])) == {
        "model": "new",
        "from": "m",
    }


def test_a_model_that_can_think_does_unless_the_user_decided() -> None:
    able = Shown(capabilities=["thinking"])
    assert Session("m").for_model(able).think is True
    assert Session("m").for_model(Shown()).think is None
    assert Session("m", think=False).for_model(able).think is False
