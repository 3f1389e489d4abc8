import json

import pytest

from lcrt.core.message import Message
from lcrt.core.request import CreateRequest
from lcrt.errors import InvalidRequest, LcrtError, ModelFormatError, StoreError, UnsupportedModel
from lcrt.gguf.writer import Plain, Tensor
from lcrt.modelfile.create import check_request, create
from lcrt.store import layers
from lcrt.store.layers import parse_config
from lcrt.store.store import Store
from tests.modelfile.models import (
    CHATML,
    TENSOR,
    config,
    layer_texts,
    make,
    named,
    outcome,
    run,
    statuses,
    upload,
    upload_gguf,
)

NO_BLOB = "sha256:" + "0" * 64


def test_a_gguf_becomes_a_model_whose_blob_keeps_its_digest(store: Store) -> None:
    digest = upload_gguf(store)
    progress = run(store, CreateRequest("m", files={"m.gguf": digest}))
    assert statuses(progress) == [
        "parsing GGUF",
        "verifying conversion",
        f"using existing layer {digest}",
        "writing manifest",
        "success",
    ]
    assert [layer.digest for layer in store.get(named("m")).layers] == [digest]
    assert config(store, "m") == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "16",
        "file_type": "F16",
        "architecture": "amd64",
        "os": "linux",
    }


def test_a_plain_known_template_brings_its_stop_strings(store: Store) -> None:
    digest = upload_gguf(store, {"tokenizer.chat_template": CHATML})
    progress = run(store, CreateRequest("m", files={"m.gguf": digest}))
    assert "using autodetected template chatml" in statuses(progress)
    assert layer_texts(store, "m", layers.PARAMS) == [
        '{"stop":["\\u003c|im_start|\\u003e","\\u003c|im_end|\\u003e"]}\n'
    ]


@pytest.mark.parametrize(
    ("template", "metadata", "words"),
    [
        ("{{ .System }}", {"tokenizer.chat_template": CHATML}, ["the one in the GGUF file is used instead"]),
        ("{{ .System }}", {}, ["chats with it are refused"]),
        ("{{ .Prompt }}", {}, []),
        ("", {}, []),
    ],
)
def test_the_log_tells_of_a_template_that_cannot_be_rendered(
    store: Store, caplog: pytest.LogCaptureFixture, template: str, metadata: dict[str, Plain], words: list[str]
) -> None:
    digest = upload_gguf(store, metadata)
    run(store, CreateRequest("m", files={"m.gguf": digest}, template=template))
    assert caplog.messages == [f"the template of m cannot be rendered by this version: {word}" for word in words]


@pytest.mark.parametrize(
    ("architecture", "name", "stop"),
    [
        ("gemma4", "gemma4", ['{"stop":["\\u003cturn|\\u003e"]}\n']),
        ("laguna", "laguna", []),
        ("nemotron_h", "nemotron-3-nano", []),
        ("nemotron_h_moe", "nemotron-3-nano", []),
        ("nemotron_h_omni", "nemotron-3-nano", []),
    ],
)
def test_an_architecture_brings_its_renderer_parser_and_stop_strings(
    store: Store, architecture: str, name: str, stop: list[str]
) -> None:
    make(store, "m", {"general.architecture": architecture})
    assert (config(store, "m")["renderer"], config(store, "m")["parser"]) == (name, name)
    assert layer_texts(store, "m", layers.PARAMS) == stop


def test_what_is_said_comes_before_what_is_usual_for_an_architecture(store: Store) -> None:
    digest = upload_gguf(store, {"general.architecture": "gemma4"})
    files = {"m.gguf": digest}
    run(store, CreateRequest("m", files=files, parser="gemma4-no-thinking", parameters={"stop": ["X"], "top_k": 3}))
    assert (config(store, "m")["renderer"], config(store, "m")["parser"]) == ("gemma4", "gemma4-no-thinking")
    assert layer_texts(store, "m", layers.PARAMS) == ['{"stop":["X"],"top_k":3}\n']
    run(store, CreateRequest("n", from_="m", parameters={"top_k": 4}))
    assert config(store, "n")["parser"] == "gemma4-no-thinking"
    assert layer_texts(store, "n", layers.PARAMS) == ['{"stop":["X"],"top_k":4}\n']


def test_a_template_with_tools_keeps_its_own_rules(store: Store) -> None:
    make(store, "m", {"tokenizer.chat_template": CHATML + "{{ tools }}"})
    assert layer_texts(store, "m", layers.PARAMS) == []


def test_everything_in_a_request_becomes_a_layer_as_other_tools_write_it(store: Store) -> None:
    make(store, "base")
    request = CreateRequest(
        "m",
        from_="base",
        template="{{ .Prompt }}",
        system="You are Mario.",
        license=("MIT", "Extra"),
        parameters={"temperature": 0.5, "num_ctx": 2048, "stop": ["USER", "BOT"]},
        messages=(Message("user", "hi"), Message("assistant", "yo")),
        renderer="r",
        parser="p",
        requires="0.14.0",
    )
    run(store, request)
    assert layer_texts(store, "m", layers.TEMPLATE) == ["{{ .Prompt }}"]
    assert layer_texts(store, "m", layers.SYSTEM) == ["You are Mario."]
    assert layer_texts(store, "m", layers.LICENSE) == ["MIT", "Extra"]
    assert layer_texts(store, "m", layers.PARAMS) == ['{"num_ctx":2048,"stop":["USER","BOT"],"temperature":0.5}\n']
    assert layer_texts(store, "m", layers.MESSAGES) == [
        '[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]\n'
    ]
    assert {key: config(store, "m")[key] for key in ("renderer", "parser", "requires")} == {
        "renderer": "r",
        "parser": "p",
        "requires": "0.14.0",
    }


def test_a_model_made_of_another_names_it_and_inherits_what_it_does_not_replace(store: Store) -> None:
    make(store, "base")
    run(
        store,
        CreateRequest(
            "mid", from_="base", system="a", license=("MIT",), parameters={"top_k": 1, "num_ctx": 8}, parser="p"
        ),
    )
    run(store, CreateRequest("m", from_="MID", license=("more",), parameters={"top_k": 2, "seed": 3}))
    manifest = store.get(named("m"))
    assert {layer.from_ for layer in manifest.of_type(layers.MODEL, layers.SYSTEM)} == {"mid:latest"}
    assert layer_texts(store, "m", layers.SYSTEM) == ["a"]
    assert layer_texts(store, "m", layers.LICENSE) == ["MIT", "more"]
    assert json.loads(layer_texts(store, "m", layers.PARAMS)[0]) == {"num_ctx": 8, "seed": 3, "top_k": 2}
    assert config(store, "m")["parser"] == "p"


def test_empty_texts_replace_nothing(store: Store) -> None:
    make(store, "base")
    run(store, CreateRequest("mid", from_="base", system="a", template="b"))
    run(store, CreateRequest("m", from_="mid"))
    assert layer_texts(store, "m", layers.SYSTEM) == ["a"]
    assert layer_texts(store, "m", layers.TEMPLATE) == ["b"]


def test_a_template_also_replaces_one_under_the_old_media_type(store: Store) -> None:
    digest = upload_gguf(store)
    with store.hold() as hold:
        old, size, _ = hold.put(b"old")
        weights = layers.Layer(layers.MODEL, digest, store.blobs.size(digest))
        store.publish(named("base"), b"{}", (weights, layers.Layer(layers.PROMPT, old, size)))
    run(store, CreateRequest("m", from_="base", template="new"))
    assert store.get(named("m")).of_type(layers.PROMPT) == ()
    assert layer_texts(store, "m", layers.TEMPLATE) == ["new"]


def test_layers_are_told_as_new_or_existing(store: Store) -> None:
    make(store, "base")
    first = statuses(run(store, CreateRequest("m", from_="base", system="a")))
    second = statuses(run(store, CreateRequest("n", from_="base", system="a")))
    assert [status.split()[0] for status in first] == ["using", "creating", "writing", "success"]
    assert [status.split()[0] for status in second] == ["using", "using", "writing", "success"]


def test_an_adapter_and_a_projector_are_told_by_their_content(store: Store) -> None:
    files = {
        "a.gguf": upload_gguf(store),
        "b.gguf": upload_gguf(store, {"general.type": "mmproj", "general.architecture": "clip"}),
    }
    run(store, CreateRequest("m", files=files))
    adapter = upload_gguf(store, {"general.type": "adapter"})
    run(store, CreateRequest("n", from_="m", adapters={"x.gguf": adapter}))
    manifest = store.get(named("n"))
    assert [layer.media_type for layer in manifest.layers] == [layers.MODEL, layers.PROJECTOR, layers.ADAPTER]
    assert config(store, "m")["model_families"] == ["llama", "clip"]


def test_a_gguf_under_another_name_is_told_by_its_beginning(store: Store) -> None:
    run(store, CreateRequest("m", files={"weights.bin": upload_gguf(store)}))
    assert len(store.get(named("m")).of_type(layers.MODEL)) == 1


@pytest.mark.parametrize("name", ["", "a b", "m:"])
def test_a_bad_name_is_refused_before_anything(name: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid model name"):
        check_request(CreateRequest(name))


@pytest.mark.parametrize("path", ["../m.gguf", "/m.gguf", "a//b", "a/./b", "", ".", "..", "a/"])
def test_file_names_stay_inside(path: str) -> None:
    with pytest.raises(InvalidRequest, match="file path must be relative"):
        check_request(CreateRequest("m", files={path: NO_BLOB}))
    with pytest.raises(InvalidRequest, match="file path must be relative"):
        check_request(CreateRequest("m", from_="x", adapters={path: NO_BLOB}))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a", "a/b"], "file path `a` is a folder of other files too"),
        (["b/c/d.json", "b/c"], "file path `b/c` is a folder of other files too"),
        (["x" * 300], "is too long"),
        (["é" * 128], "is too long"),
        (["/".join(["x" * 200] * 6)], "is too long"),
        (["a\0b"], "has control characters"),
        (["a\nb"], "has control characters"),
        (["a\ud800"], "is no text"),
    ],
)
def test_file_names_that_no_folder_can_have_are_refused_before_anything(names: list[str], text: str) -> None:
    files = dict.fromkeys(names, NO_BLOB)
    for request in (
        CreateRequest("m", files=files),
        CreateRequest("m", from_="x", adapters=files),
        CreateRequest("m", from_="x", draft_files=files),
    ):
        with pytest.raises(InvalidRequest, match=text):
            check_request(request)


@pytest.mark.parametrize(
    "names", [["a", "b/a", "a.b"], ["é" * 127], ["model-00001.safetensors", "1_Pooling/config.json"]]
)
def test_any_other_name_will_do(names: list[str]) -> None:
    check_request(CreateRequest("m", files=dict.fromkeys(names, NO_BLOB)))


def test_a_matrix_without_a_type_is_refused_before_anything() -> None:
    with pytest.raises(InvalidRequest, match="only of use where weights are quantized") as refused:
        check_request(CreateRequest("m", from_="x", imatrix=NO_BLOB))
    assert "--quantize" in (refused.value.hint or "")


def test_an_empty_digest_is_refused_before_anything() -> None:
    with pytest.raises(InvalidRequest, match="invalid digest format"):
        check_request(CreateRequest("m", files={"a": ""}))


@pytest.mark.parametrize(
    ("request_", "seen", "kind", "text"),
    [
        (CreateRequest("m"), 0, InvalidRequest, "neither 'from' or 'files' was specified"),
        (CreateRequest("m", files={}), 0, InvalidRequest, "unknown type"),
        (CreateRequest("m", files={"m.gguf": "xyz"}), 1, InvalidRequest, "invalid digest format"),
        (CreateRequest("m", files={"m.gguf": NO_BLOB}), 1, StoreError, "no such file"),
        (CreateRequest("m", files={"m.safetensors": NO_BLOB}), 0, StoreError, "no such file"),
        (CreateRequest("m", from_="none"), 1, StoreError, "pull model manifest: file does not exist"),
        (CreateRequest("m", from_="a b"), 0, InvalidRequest, "invalid model name"),
        (CreateRequest("m", from_="base", template="{{ .Foo"), 0, InvalidRequest, "template error: template: :1: un"),
        (CreateRequest("m", from_="base", quantize="q99"), 0, StoreError, "unsupported quantization type Q99 - suppo"),
        (CreateRequest("m", from_="quant", quantize="q4_K_M"), 0, StoreError, "only supported for F16, BF16 and F32"),
        (
            CreateRequest("m", from_="base", info={"base_name": 1}),
            0,
            InvalidRequest,
            'info field "base_name" must be a s',
        ),
        (CreateRequest("m", from_="base", adapters={"a": "x", "b": "y"}), 0, InvalidRequest, "only one adapter is"),
    ],
)
def test_what_goes_wrong_is_told_and_changes_nothing(
    store: Store, request_: CreateRequest, seen: int, kind: type[LcrtError], text: str
) -> None:
    make(store, "base")
    make(store, "quant", {"general.file_type": 3})
    progress, error = outcome(store, request_)
    assert len(progress) == seen
    assert type(error) is kind
    assert text in error.message
    assert store.find(named("m")) is None


@pytest.mark.parametrize(
    ("name", "seen", "text"),
    [("m.gguf", 1, "supplied file was not in GGUF format"), ("m.bin", 0, "unknown type")],
)
def test_a_file_that_is_no_gguf_is_refused(store: Store, name: str, seen: int, text: str) -> None:
    digest = upload(store, b"hello")
    progress, error = outcome(store, CreateRequest("m", files={name: digest}))
    assert (len(progress), error and error.message) == (seen, text)


@pytest.mark.parametrize(
    ("metadata", "tensor", "kind", "text"),
    [
        ({}, Tensor("t", "F16", (8, 99), bytes(32)), InvalidRequest, "lies beyond its end"),
        ({"split.count": 2}, TENSOR, InvalidRequest, 'split GGUF "m.gguf" must use llama.cpp split filename pattern'),
        ({"general.architecture": ""}, TENSOR, UnsupportedModel, "unknown architecture"),
        ({"general.type": "adapter"}, TENSOR, InvalidRequest, "no model among the files"),
    ],
)
def test_a_gguf_that_cannot_be_a_model_is_refused(
    store: Store, metadata: dict[str, Plain], tensor: Tensor, kind: type[LcrtError], text: str
) -> None:
    digest = upload_gguf(store, metadata, tensor)
    _, error = outcome(store, CreateRequest("m", files={"m.gguf": digest}))
    assert type(error) is kind
    assert text in error.message


def test_a_model_is_no_adapter(store: Store) -> None:
    make(store, "base")
    request = CreateRequest("m", from_="base", adapters={"a.gguf": upload_gguf(store, {"llama.x": 1})})
    _, error = outcome(store, request)
    assert error is not None
    assert error.message == "`a.gguf` is not an adapter"


def test_the_type_that_the_weights_have_already_may_be_asked_for(store: Store) -> None:
    make(store, "base")
    assert outcome(store, CreateRequest("m", from_="base", quantize="f16"))[1] is None


def test_info_wins_over_the_file(store: Store) -> None:
    make(store, "base")
    info = {"model_family": "x", "parameter_size": 7_000_000_000, "context_length": 9.0, "capabilities": ["vision"]}
    run(store, CreateRequest("m", from_="base", info=info))
    layer = store.get(named("m")).config
    assert layer is not None
    made = parse_config(store.blobs.read(layer.digest))
    assert (made.model_family, made.model_type, made.context_length) == ("x", "7B", 9)
    assert made.capabilities == ("vision",)


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({"context_length": "x"}, 'info field "context_length" must be a number'),
        ({"context_length": -1}, 'info field "context_length" must be a non-negative integer'),
        ({"context_length": 1.5}, 'info field "context_length" must be a non-negative integer'),
        ({"embedding_length": True}, 'info field "embedding_length" must be a number'),
        ({"parameter_size": True}, 'info field "parameter_size" must be a string'),
        ({"capabilities": "vision"}, 'info field "capabilities" must be a list of strings'),
    ],
)
def test_info_of_a_wrong_type_is_refused(store: Store, info: dict[str, object], text: str) -> None:
    make(store, "base")
    _, error = outcome(store, CreateRequest("m", from_="base", info=info))
    assert error is not None
    assert error.message == text


def test_a_file_that_only_a_whole_look_finds_bad_is_refused(store: Store) -> None:
    digest = upload_gguf(store, tensor=Tensor("", "F16", (8, 2), bytes(32)))
    _, error = outcome(store, CreateRequest("m", files={"m.gguf": digest}))
    assert type(error) is InvalidRequest
    assert "a tensor has no name" in error.message


def test_replacing_a_model_takes_its_old_blobs_unless_asked_not_to(store: Store) -> None:
    make(store, "base")
    run(store, CreateRequest("m", from_="base", system="one"))
    (one,) = store.get(named("m")).of_type(layers.SYSTEM)
    list(create(store, CreateRequest("m", from_="base", system="two"), keep_old=True))
    assert store.blobs.has(one.digest)
    run(store, CreateRequest("m", from_="base", system="one"))
    run(store, CreateRequest("m", from_="base", system="three"))
    assert not store.blobs.has(one.digest)


def test_a_damaged_file_is_named_as_its_owner_does(store: Store) -> None:
    whole = store.blobs.read(upload_gguf(store))
    _, error = outcome(store, CreateRequest("m", files={"my/weights.gguf": upload(store, whole[:-8])}))
    assert type(error) is InvalidRequest
    assert error.message.startswith("`my/weights.gguf` is damaged: tensor token_embd.weight lies beyond its end")


def test_a_base_with_damaged_weights_is_refused(store: Store) -> None:
    digest = make(store, "base")
    store.blobs.path(digest).write_bytes(b"GGUF")
    _, error = outcome(store, CreateRequest("m", from_="base"))
    assert type(error) is ModelFormatError
