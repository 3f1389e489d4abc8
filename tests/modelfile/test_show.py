import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lcrt.core.message import Message
from lcrt.core.request import CreateRequest
from lcrt.gguf.reader import read_header
from lcrt.gguf.types import ValueType
from lcrt.gguf.writer import Plain, Typed, write_gguf
from lcrt.modelfile.catalog import Catalog
from lcrt.modelfile.describe import Description
from lcrt.modelfile.parse import parse_modelfile
from lcrt.modelfile.request import plan
from lcrt.modelfile.show import model_info, modelfile_text, parameters_text, shown_template, tensors
from lcrt.store.layers import ModelConfig
from lcrt.store.store import Store
from tests.modelfile.models import CHATML, LLAMA, TENSOR, body_of, config, make, named, place_gguf, run

FULL = Description(
    name=named("m"),
    digest="",
    size=0,
    modified=0.0,
    details=None,  # type: ignore[arg-type]
    config=ModelConfig(renderer="r", parser="p", requires="0.14.0"),
    go_template='{{ if .System }}"x"\n{{ end }}',
    system="two\nlines",
    license=("MIT", " odd "),
    parameters={"top_k": 5, "stop": ["a b", "<|x|>"], "temperature": 0.5, "use_mmap": True},
    messages=(Message("user", "hi"), Message("assistant", "yo")),
    model="/blobs/model",
    projectors=("/blobs/projector",),
    adapters=("/blobs/adapter",),
)


def test_the_modelfile_names_everything_and_reads_back() -> None:
    text = modelfile_text(FULL)
    assert [(command.name, command.args) for command in parse_modelfile(text)] == [
        ("model", "/blobs/model"),
        ("adapter", "/blobs/adapter"),
        ("model", "/blobs/projector"),
        ("template", FULL.go_template),
        ("system", "two\nlines"),
        ("renderer", "r"),
        ("parser", "p"),
        ("requires", "0.14.0"),
        ("stop", "a b"),
        ("stop", "<|x|>"),
        ("temperature", "0.5"),
        ("top_k", "5"),
        ("use_mmap", "true"),
        ("license", "MIT"),
        ("license", " odd "),
        ("message", "user: hi"),
        ("message", "assistant: yo"),
    ]
    assert text.startswith("# ")
    assert "# FROM m:latest\n\nFROM /blobs/model\n" in text


def test_a_request_may_show_another_system_text_and_further_options() -> None:
    text = modelfile_text(FULL, system="other", options={"top_k": 9, "seed": 1})
    commands = {command.name: command.args for command in parse_modelfile(text)}
    assert (commands["system"], commands["top_k"], commands["seed"]) == ("other", "9", "1")


def test_a_model_without_a_template_just_gets_the_prompt() -> None:
    bare = msgspec.structs.replace(FULL, go_template="", template="")
    assert shown_template(bare) == "{{ .Prompt }}"
    assert "\nTEMPLATE {{ .Prompt }}\n" in modelfile_text(bare)


def test_the_template_of_a_gguf_is_no_line_of_its_modelfile() -> None:
    jinja = msgspec.structs.replace(FULL, go_template="", template=CHATML, jinja_template=CHATML)
    assert shown_template(jinja) == CHATML
    assert "TEMPLATE" not in modelfile_text(jinja)


def test_parameters_are_columns_with_strings_in_quotes() -> None:
    assert parameters_text(FULL.parameters).splitlines() == [
        'stop                           "a b"',
        'stop                           "<|x|>"',
        "temperature                    0.5",
        "top_k                          5",
        "use_mmap                       true",
    ]
    assert parameters_text({}) == ""


def test_model_info_hides_name_and_template_and_counts_parameters(tmp_path: Path) -> None:
    write_gguf(tmp_path / "x.gguf", LLAMA | {"tokenizer.chat_template": CHATML}, [TENSOR])
    header = read_header(tmp_path / "x.gguf")
    brief, full = model_info(header, verbose=False), model_info(header, verbose=True)
    assert brief["tokenizer.ggml.tokens"] is None
    assert full["tokenizer.ggml.tokens"] == ["a", "b"]
    assert (brief["general.parameter_count"], brief["llama.context_length"]) == (16, 256)
    assert not {"general.name", "tokenizer.chat_template"} & set(full)
    assert list(brief) == sorted(brief)


def sample(conformance: Path, name: str) -> dict[str, Any]:
    recorded = json.loads((conformance / "golden" / "samples" / f"{name}.json").read_text())
    answer: dict[str, Any] = json.loads(recorded["response"]["body"])
    return answer


def metadata_of(info: dict[str, Any]) -> dict[str, Plain]:
    """The metadata of the file that a recorded model_info describes; arrays shrunk to nothing."""
    plain = {key: value for key, value in info.items() if key != "general.parameter_count"}
    return {key: Typed(ValueType.STRING, ()) if value is None else value for key, value in plain.items()}


def lines(text: str) -> list[str]:
    return sorted(text.splitlines())


@pytest.fixture
def recorded_store(store: Store, conformance: Path) -> Store:
    """The models that the recordings were made of: real headers, no weights."""
    seeds = {"smollm2:135m": "show-full-name", "all-minilm": "show-embed-model", "gemma3:270m": "show-gemma3"}
    for name, shown in seeds.items():
        answer = sample(conformance, shown)
        template: dict[str, Plain] = {"tokenizer.chat_template": CHATML} if "smol" in name else {}
        shapes = [(tensor["name"], tensor["type"], tuple(tensor["shape"])) for tensor in answer["tensors"]]
        place_gguf(store, name, metadata_of(answer["model_info"]) | template, shapes)
    for creation in ("create-from-model-full", "create-from-model-sub", "create-tools-model"):
        recorded = json.loads((conformance / "golden" / "samples" / f"{creation}.json").read_text())
        run(store, body_of(recorded["request"]["body"]))
    return store


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("SmolLM2:135M", "show-case-variant"),
        ("all-minilm", "show-embed-model"),
        ("gemma3:270m", "show-gemma3"),
        ("g3", "show-created-full"),
        ("g4", "show-created-sub"),
        ("smoltools", "show-tools-model"),
    ],
)
def test_models_are_shown_as_recorded(recorded_store: Store, conformance: Path, name: str, shown: str) -> None:
    catalog, answer = Catalog(recorded_store), sample(conformance, shown)
    found = catalog.find(named(name))
    assert found is not None
    header = catalog.header(found.model)
    details = msgspec.to_builtins(found.details)
    assert {key: details[key] for key in answer["details"]} == answer["details"] | {
        "families": tuple(answer["details"]["families"])
    }
    assert list(found.capabilities) == answer["capabilities"]
    assert model_info(header, verbose=False) == answer["model_info"]
    assert msgspec.to_builtins(tensors(header)) == [row | {"shape": tuple(row["shape"])} for row in answer["tensors"]]
    assert lines(parameters_text(found.parameters)) == lines(answer.get("parameters", ""))
    assert (found.system, "\n".join(found.license)) == (answer.get("system", ""), answer.get("license", ""))
    assert [{"role": m.role, "content": m.content} for m in found.messages] == answer.get("messages", [])
    if "smollm2" not in name.lower():
        assert shown_template(found) == answer["template"]
        text = modelfile_text(found).replace(found.model, "/models/file")
        assert lines(text.partition("\n\n")[2]) == lines(answer["modelfile"].partition("\n\n")[2])


_WORDS = st.text(alphabet='ab "\n#\t\xa0é{}', min_size=1, max_size=12).filter(
    lambda text: '"""' not in text and text.strip()
)


@settings(max_examples=20)
@given(system=_WORDS, licence=_WORDS, said=_WORDS, stop=_WORDS, temperature=st.floats(0, 2))
def test_a_model_made_of_its_own_modelfile_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, system: str, licence: str, said: str, stop: str, temperature: float
) -> None:
    store = Store(tmp_path_factory.mktemp("models"))
    make(store, "base")
    request = CreateRequest(
        "m",
        from_="base",
        system=system,
        license=(licence,),
        messages=(Message("user", said), Message("assistant", system)),
        parameters={"stop": [stop, "b"], "temperature": temperature, "num_ctx": 8, "use_mmap": False},
        renderer="r",
        parser="p",
        requires="0.14.0",
    )
    run(store, request)
    text = modelfile_text(Catalog(store).describe(store.get(named("m"))))
    wanted = plan(parse_modelfile(text), Path("/nonexistent"), "n")
    digests = {path: f"sha256:{path.name.removeprefix('sha256-')}" for path in wanted.paths}
    run(store, wanted.with_digests(digests))
    assert config(store, "n") == config(store, "m")
    layers = [[(each.media_type, each.digest) for each in store.get(named(name)).layers] for name in ("m", "n")]
    kept = [pair for pair in layers[1] if not pair[0].endswith("template")]
    assert sorted(kept) == sorted(layers[0])
