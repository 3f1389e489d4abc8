import json
from pathlib import Path

import msgspec
import pytest

from lcrt.core.message import Message
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest
from lcrt.modelfile.parse import parse_modelfile
from lcrt.modelfile.request import Plan, plan
from tests.modelfile.test_parse import KEPT_HERE


def planned(text: str, directory: Path = Path("/nonexistent")) -> Plan:
    return plan(parse_modelfile(text), directory, model="m")


def files(directory: Path, *names: str) -> None:
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def test_requests_agree_with_the_recorded_ones(conformance: Path) -> None:
    for case in json.loads((conformance / "vectors" / "modelfile.json").read_text()):
        if case["error"] or KEPT_HERE in case["input"]:
            continue
        if case["request_error"]:
            with pytest.raises(InvalidRequest) as refused:
                planned(case["input"])
            assert refused.value.message == case["request_error"], case["input"]
        else:
            request = msgspec.to_builtins(planned(case["input"]).request) | {"model": ""}
            request["from"] = request.pop("from_")
            got = {key: list(value) if isinstance(value, tuple) else value for key, value in request.items() if value}
            assert got == {key: value for key, value in case["request"].items() if value}, case["input"]


@pytest.mark.parametrize(("template", "n"), [("{{ .System }} {{ .Prompt }}", 1), ("{{ .Prompt }}", 0)])
def test_a_template_that_cannot_be_rendered_is_warned_of(template: str, n: int) -> None:
    assert [text.split()[0] for text in planned(f"FROM m\nTEMPLATE {template}").warnings] == ["TEMPLATE"] * n


def test_every_command_has_its_place_in_the_request(tmp_path: Path) -> None:
    text = "\n".join(
        [
            *("FROM base", "TEMPLATE old", "TEMPLATE new", "SYSTEM s", "LICENSE a", "LICENSE b", "RENDERER r"),
            *("PARSER p", "MESSAGE user hi: there", "MESSAGE assistant yo", "PARAMETER stop x", "REQUIRES v0.14.0"),
        ]
    )
    assert plan(parse_modelfile(text), tmp_path, "m", "Q4_0").request == CreateRequest(
        "m",
        from_="base",
        quantize="Q4_0",
        template="new",
        system="s",
        license=("a", "b"),
        parameters={"stop": ["x"]},
        messages=(Message("user", "hi: there"), Message("assistant", "yo")),
        renderer="r",
        parser="p",
        requires="0.14.0",
    )


def test_paths_become_files_and_names_stay_names(tmp_path: Path) -> None:
    files(tmp_path, "a.gguf", "mmproj.gguf", "lora.gguf")
    made = planned("FROM ./a.gguf\nFROM mmproj.gguf\nADAPTER lora.gguf", tmp_path)
    assert made.files == {"a.gguf": tmp_path / "a.gguf", "mmproj.gguf": tmp_path / "mmproj.gguf"}
    assert made.adapters == {"lora.gguf": tmp_path / "lora.gguf"}
    assert made.request.from_ == ""


def test_digests_complete_the_request(tmp_path: Path) -> None:
    files(tmp_path, "a.gguf")
    request = planned("FROM ./a.gguf", tmp_path).with_digests({tmp_path / "a.gguf": "sha256:1"})
    assert (request.files, request.adapters) == ({"a.gguf": "sha256:1"}, None)


@pytest.mark.parametrize(
    ("present", "chosen"),
    [
        (["a.gguf", "b.bin", "config.json"], ["a.gguf"]),
        (["model.safetensors", "x.gguf", "config.json", "sub/tokenizer.json"], None),
        (["b.bin", "tokenizer.model"], ["b.bin", "tokenizer.model"]),
        (["model.safetensors", "vocab.txt", "notes.txt"], ["model.safetensors", "vocab.txt"]),
    ],
)
def test_a_directory_stands_for_the_best_files_in_it(
    tmp_path: Path, present: list[str], chosen: list[str] | None
) -> None:
    files(tmp_path, *present)
    expected = chosen or ["config.json", "model.safetensors", "sub/tokenizer.json"]
    assert sorted(planned("FROM .", tmp_path).files) == expected


def test_a_directory_without_models_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "README.md")
    with pytest.raises(InvalidRequest, match="no Modelfile or safetensors files found"):
        planned("FROM .", tmp_path)


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "secret.gguf")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "a.gguf").symlink_to(tmp_path / "secret.gguf")
    with pytest.raises(InvalidRequest, match="insecure path"):
        planned("FROM ./dir", tmp_path)


def test_parameters_without_effect_are_warned_of() -> None:
    made = planned("FROM x\nPARAMETER mirostat 1\nPARAMETER low_vram true")
    assert made.warnings == ("parameter mirostat is deprecated", "parameter low_vram is deprecated")
    assert made.request.parameters == {}


def test_one_shard_brings_the_others_along(tmp_path: Path) -> None:
    names = [f"m[1]-0000{i}-of-00003.gguf" for i in (1, 2, 3)]
    files(tmp_path, *names, "m[1]-00001-of-00002.gguf", "m1-00002-of-00003.gguf", "m[1]-0000x-of-00003.gguf")
    assert planned(f"FROM {names[1]}", tmp_path).files == {name: tmp_path / name for name in names}


def test_a_draft_is_another_file_than_the_model(tmp_path: Path) -> None:
    files(tmp_path, "m.gguf", "d.gguf", "both/m.gguf")
    wanted = planned("FROM m.gguf\nDRAFT d.gguf", tmp_path)
    assert (wanted.files, wanted.drafts) == ({"m.gguf": tmp_path / "m.gguf"}, {"d.gguf": tmp_path / "d.gguf"})
    assert wanted.paths == (tmp_path / "m.gguf", tmp_path / "d.gguf")
    (tmp_path / "link").symlink_to("both")
    for text, named in (("FROM m.gguf\nDRAFT ./m.gguf", "./m.gguf"), ("FROM both\nDRAFT link/m.gguf", "link/m.gguf")):
        with pytest.raises(InvalidRequest, match=f"DRAFT must not reference the same local path as FROM: {named}"):
            planned(text, tmp_path)
