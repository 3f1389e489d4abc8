import os

import pytest

from lcrt.core.message import Message
from lcrt.core.request import CreateRequest
from lcrt.errors import ModelFormatError, StoreError
from lcrt.modelfile.catalog import _FACTS, Catalog
from lcrt.modelfile.describe import Description
from lcrt.store import layers
from lcrt.store.layers import Layer
from lcrt.store.store import Store
from tests.modelfile.models import CHATML, make, named, run, upload, upload_gguf


def described(catalog: Catalog, name: str) -> Description:
    found = catalog.find(named(name))
    assert found is not None
    return found


def test_the_details_of_a_model_come_from_its_config_and_its_file(store: Store, catalog: Catalog) -> None:
    make(store, "m")
    details = described(catalog, "M").details
    assert (details.format, details.family, details.families) == ("gguf", "llama", ("llama",))
    assert (details.parameter_size, details.quantization_level) == ("16", "F16")
    assert (details.context_length, details.embedding_length) == (256, 8)
    assert details.parent_model == ""


def test_a_model_without_a_config_is_described_by_its_file(store: Store, catalog: Catalog) -> None:
    digest = upload_gguf(store)
    store.publish(named("m"), b"{}", (Layer(layers.MODEL, digest, store.blobs.size(digest)),))
    found = described(catalog, "m")
    assert (found.details.family, found.details.quantization_level, found.details.parameter_size) == (
        "llama",
        "F16",
        "16",
    )
    assert found.details.families is None
    assert found.capabilities == ("completion",)


def test_texts_settings_and_messages_are_read_from_their_layers(store: Store, catalog: Catalog) -> None:
    make(store, "base")
    request = CreateRequest(
        "m",
        from_="base",
        template="{{ .Prompt }}{{ .Tools }}",
        system="s",
        license=("a", "b"),
        parameters={"stop": ["x"]},
        messages=(Message("user", "hi", images=(b"png",)),),
        parser="p",
        requires="1.0",
    )
    run(store, request)
    found = described(catalog, "m")
    assert (found.template, found.go_template) == (request.template, request.template)
    assert (found.system, found.license, found.parameters) == ("s", ("a", "b"), {"stop": ["x"]})
    assert found.messages == request.messages
    assert (found.config.parser, found.config.requires) == ("p", "1.0")
    assert found.details.parent_model == "base:latest"
    assert found.capabilities == ("completion", "tools")


def test_the_files_own_template_speaks_for_a_model_without_a_layer(store: Store, catalog: Catalog) -> None:
    make(store, "m", {"tokenizer.chat_template": CHATML})
    found = described(catalog, "m")
    assert (found.template, found.jinja_template, found.go_template) == (CHATML, CHATML, "")


def test_a_spec_names_every_file(store: Store, catalog: Catalog) -> None:
    files = {
        "m.gguf": upload_gguf(store),
        "p.gguf": upload_gguf(store, {"general.type": "mmproj", "clip.has_audio_encoder": True}),
    }
    adapter = upload_gguf(store, {"general.type": "adapter"})
    run(store, CreateRequest("m", files=files, adapters={"a.gguf": adapter}))
    spec = described(catalog, "m").spec()
    assert spec.name == "m:latest"
    assert spec.path == str(store.blobs.path(files["m.gguf"]))
    assert spec.size == store.blobs.size(files["m.gguf"])
    assert spec.projectors == (str(store.blobs.path(files["p.gguf"])),)
    assert spec.adapters == (str(store.blobs.path(adapter)),)
    assert spec.capabilities == ("completion", "vision", "audio")
    assert (spec.family, spec.format, spec.quantization_level) == ("llama", "gguf", "F16")


def test_the_last_of_several_weights_counts(store: Store, catalog: Catalog) -> None:
    one, two = upload_gguf(store), upload_gguf(store, {"llama.context_length": 99})
    store.publish(named("m"), b"{}", tuple(Layer(layers.MODEL, digest, 1) for digest in (one, two)))
    assert described(catalog, "m").details.context_length == 99


def test_a_changed_model_is_described_anew_and_a_copy_under_its_own_name(store: Store, catalog: Catalog) -> None:
    make(store, "m")
    assert described(catalog, "m").system == ""
    run(store, CreateRequest("m", from_="m", system="now"))
    assert described(catalog, "m").system == "now"
    store.copy(named("m"), named("copy"))
    assert described(catalog, "copy").name == named("copy")
    assert described(catalog, "m").name == named("m")


def test_an_unchanged_model_costs_no_reading(store: Store, catalog: Catalog) -> None:
    digest = make(store, "m")
    first = described(catalog, "m")
    store.blobs.path(digest).write_bytes(b"now unreadable")
    assert described(catalog, "m") == first


def test_models_of_one_file_share_its_header(store: Store, catalog: Catalog) -> None:
    digest = make(store, "base")
    described(catalog, "base")
    run(store, CreateRequest("m", from_="base", system="x"))
    store.blobs.path(digest).write_bytes(b"now unreadable")
    assert described(catalog, "m").details.family == "llama"


def test_a_new_process_reads_no_header_again(store: Store, catalog: Catalog) -> None:
    digest = make(store, "m", {"tokenizer.chat_template": CHATML})
    first = described(catalog, "m")
    path = store.blobs.path(digest)
    path.write_bytes(bytes(path.stat().st_size))
    again = described(Catalog(Store(store.directory)), "m")
    assert again == first
    assert again.jinja_template == CHATML


def test_a_note_that_is_not_understood_is_made_anew(store: Store, catalog: Catalog) -> None:
    digest = make(store, "m")
    store.notes.put(digest, _FACTS, b"\x01")
    assert described(catalog, "m").details.family == "llama"
    noted = store.notes.get(digest, _FACTS)
    assert noted not in (None, b"\x01")


def test_safetensors_models_are_listed_without_being_read(store: Store, catalog: Catalog) -> None:
    digest = upload(store, b"tensor")
    config = b'{"model_format":"safetensors","model_family":"x","capabilities":["completion"]}'
    store.publish(named("m"), config, (Layer(layers.MODEL, digest, 6),))
    found = described(catalog, "m")
    assert (found.details.format, found.capabilities) == ("safetensors", ("completion",))


def test_a_damaged_part_is_an_error_for_one_model_and_not_for_the_list(store: Store, catalog: Catalog) -> None:
    good = make(store, "good")
    bad = make(store, "bad", {"llama.x": 1})
    store.blobs.path(bad).write_bytes(b"GGUF")
    with pytest.raises(ModelFormatError):
        catalog.find(named("bad"))
    listed = {found.name.short: found for found in catalog.models()}
    assert listed["bad:latest"].size > 0
    assert listed["bad:latest"].details.family == ""
    assert listed["good:latest"].model == str(store.blobs.path(good))


@pytest.mark.parametrize("media_type", [layers.PARAMS, layers.MESSAGES])
def test_a_layer_that_is_no_json_is_a_store_error(store: Store, catalog: Catalog, media_type: str) -> None:
    digest = upload(store, b"{")
    store.publish(named("m"), b"{}", (Layer(media_type, digest, 1),))
    with pytest.raises(StoreError, match="is damaged"):
        catalog.find(named("m"))


def test_the_list_is_sorted_by_time(store: Store, catalog: Catalog) -> None:
    for i, name in enumerate(("old", "new")):
        make(store, name)
        os.utime(store.directory / "manifests" / named(name).path, (i, i))
    assert [(found.name.model, found.modified) for found in catalog.models()] == [("new", 1.0), ("old", 0.0)]


def test_no_model_is_no_description(catalog: Catalog) -> None:
    assert catalog.find(named("none")) is None
    assert catalog.models() == []
