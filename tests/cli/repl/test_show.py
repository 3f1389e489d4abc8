import pytest

from lcrt.cli.repl.effects import Part
from lcrt.cli.repl.show import shown_part
from lcrt.cli.session import Session
from lcrt.client.wire import Shown

SHOWN = Shown(license="MIT", modelfile="FROM x\n", parameters='stop    "a"', template="T", system="S")


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("license", "MIT\n"),
        ("modelfile", "FROM x\n"),
        ("parameters", 'stop    "a"\n'),
        ("template", "T\n"),
        ("system", "S\n"),
    ],
)
def test_a_part_is_shown_as_the_model_has_it(part: Part, text: str) -> None:
    assert shown_part(part, Session("m"), SHOWN) == text


def test_what_was_set_here_is_shown_too() -> None:
    session = Session("m", system="mine", options={"seed": 1})
    assert shown_part("system", session, SHOWN) == "mine\n"
    text = shown_part("parameters", session, SHOWN)
    assert text.index('stop    "a"') < text.index("User defined parameters:") < text.index("seed")


@pytest.mark.parametrize("part", ["license", "parameters", "system"])
def test_what_is_missing_is_said(part: Part) -> None:
    assert shown_part(part, Session("m"), Shown()).startswith("No ")
