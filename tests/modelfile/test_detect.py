import json
from pathlib import Path

import pytest

from lcrt.modelfile.detect import detect_family
from tests.modelfile.models import CHATML


@pytest.mark.parametrize(
    ("jinja", "name"),
    [
        (CHATML, "chatml"),
        ("<start_of_turn>user<end_of_turn>", "gemma-instruct"),
        ("<|start_header_id|>x<|end_header_id|>y<|eot_id|>", "llama3-instruct"),
        ("", None),
        ("{{ messages }}", None),
        (CHATML + "{{ tools }}", None),
        (CHATML + " " * 2000, None),
    ],
)
def test_turn_markers_tell_the_family_of_a_plain_template(jinja: str, name: str | None) -> None:
    family = detect_family(jinja)
    assert (family.name if family else None) == name


def test_no_template_is_taken_for_another_family_than_the_recorded_one(conformance: Path) -> None:
    index = json.loads((conformance / "vectors" / "gotmpl" / "index.json").read_text())
    found = [(case["name"], family.name) for case in index if (family := detect_family(case["template"]))]
    alike = {"gemma3-instruct": "gemma-instruct"}
    assert found
    assert [(name, ours) for name, ours in found if alike.get(name, name) != ours] == []
