import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lcrt.core.name import ModelName, ModelRef, Source, split_source

CONFORMANCE = os.environ.get("LCRT_CONFORMANCE_DIR", "")


def vectors() -> list[dict[str, Any]]:
    if not CONFORMANCE:
        pytest.skip("LCRT_CONFORMANCE_DIR is not set")
    cases: list[dict[str, Any]] = json.loads((Path(CONFORMANCE) / "vectors" / "names.json").read_text())
    return cases


def parsed(text: str) -> ModelName | None:
    try:
        return ModelName.parse(text)
    except ValueError:
        return None


def test_names_agree_with_the_recorded_ones() -> None:
    for case in vectors():
        name = parsed(case["input"])
        assert (name is not None) == case["valid"], case["input"]
        if name is not None:
            assert (name.full, name.short, name.path) == (case["full"], case["short"], case["path"])
            assert ModelRef.parse(case["input"]).scheme == case["scheme"]


def test_source_suffixes_agree_with_the_recorded_ones() -> None:
    for case in vectors():
        try:
            base, source, error = *split_source(case["input"]), None
        except ValueError as refused:
            base, source, error = "", Source.ANY, str(refused)
        assert (base, source.value, error) == (case["ref_base"], case["ref_source"], case["ref_error"])


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("llama3.2", "registry.ollama.ai/library/llama3.2:latest"),
        ("me/m", "registry.ollama.ai/me/m:latest"),
        ("hf.co/bartowski/X-GGUF:Q4_K_M", "hf.co/bartowski/X-GGUF:Q4_K_M"),
        ("localhost:5000/ns/m:t", "localhost:5000/ns/m:t"),
        ("https://h/n/m", "h/n/m:latest"),
        ("m" * 80, f"registry.ollama.ai/library/{'m' * 80}:latest"),
    ],
)
def test_what_a_name_leaves_out_is_filled_in(text: str, full: str) -> None:
    assert ModelName.parse(text).full == full


@pytest.mark.parametrize(
    "text",
    [
        *("", " a", "a b", "a/", "/a", ":x", "a:", "a//b", "a/b/c/d", ".a", "-a", "a:b:c", "n.s/a", "../a", "é"),
        *("m" * 81, "h" * 351 + "/n/m", "http://m", "m@sha256:00", "a\n", "a/b\x00"),
    ],
)
def test_what_breaks_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid model name"):
        ModelName.parse(text)


@pytest.mark.parametrize(
    ("text", "short", "source"),
    [
        ("m:local", "m:latest", Source.LOCAL),
        (" m:Cloud ", "m:latest", Source.CLOUD),
        ("m:8b-cloud", "m:8b", Source.CLOUD),
        ("m:8b:local", "m:8b", Source.LOCAL),
        ("m-cloud", "m-cloud:latest", Source.ANY),
        ("h:80/n/m-cloud", "h:80/n/m-cloud:latest", Source.ANY),
    ],
)
def test_a_suffix_names_the_source_and_not_the_tag(text: str, short: str, source: Source) -> None:
    ref = ModelRef.parse(text)
    assert (ref.name.short, ref.source) == (short, source)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "model is required"),
        ("  ", "model is required"),
        ("m:cloud:local", 'use either :local or :cloud, not both: "m:cloud:local"'),
        (":cloud", "invalid model name"),
        ("m:-cloud", "invalid model name"),
    ],
)
def test_a_reference_says_what_is_wrong_with_it(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error.replace("(", r"\(")):
        ModelRef.parse(text)


def test_the_scheme_of_a_reference_is_kept_beside_the_name() -> None:
    plain, secure = ModelRef.parse("http://h/n/m"), ModelRef.parse("h/n/m")
    assert (plain.scheme, secure.scheme) == ("http", "https")
    assert plain.name == secure.name


def test_names_that_differ_in_case_have_one_key_and_keep_their_spelling() -> None:
    one, other = ModelName.parse("Foo:Q4"), ModelName.parse("foo:q4")
    assert one.key == other.key
    assert one.short == "Foo:Q4"


def test_directory_entries_that_spell_no_name_are_no_name() -> None:
    assert ModelName.from_path("h", "n", "m", "t") == ModelName("h", "n", "m", "t")
    assert ModelName.from_path("h", "n", "m", ".DS_Store") is None


_ALIKE = st.text(alphabet="aB9_.-:/@ é\n", max_size=24) | st.text(max_size=12)
_ENDS = st.sampled_from(["", ":local", ":cloud", ":q-cloud", ":Cloud:LOCAL"])


@given(_ALIKE)
def test_any_text_is_refused_or_a_name_that_reads_back_and_stays_inside_its_folder(text: str) -> None:
    name = parsed(text)
    if name is None:
        return
    assert ModelName.parse(name.full) == name
    assert ModelName.parse(name.short).key == name.key
    parts = name.path.split("/")
    assert len(parts) == 4
    assert not any(part.startswith(".") or "\0" in part for part in parts)
    assert ModelName.from_path(*parts) == name


@given(_ALIKE, _ENDS)
def test_any_reference_is_refused_or_read_to_its_end(text: str, end: str) -> None:
    try:
        ref = ModelRef.parse(text + end)
    except ValueError:
        return
    assert ref.source is not Source.ANY or ref.name == parsed((text + end).strip())
