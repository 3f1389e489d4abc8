import pytest

from tests.cli.conftest import Lcrt
from tests.client.fake import FakeDaemon, failure, objects

SHOWN: dict[str, object] = {
    "license": "MIT\n\nCopyright\nAll of it\n",
    "modelfile": "FROM x\n",
    "parameters": 'num_ctx                        2048\nstop                           "USER"',
    "template": "{{ .Prompt }}",
    "system": "You are Mario.",
    "details": {"parent_model": "", "family": "llama", "parameter_size": "134.52M", "quantization_level": "Q4_1"},
    "model_info": {
        "general.architecture": "llama",
        "llama.context_length": 8192,
        "llama.embedding_length": 576,
        "llama.rope.freq_base": 100000.0,
        "llama.eps": 1e-05,
        "tokenizer.ggml.tokens": [f"token{n}" for n in range(100)],
        "tokenizer.ggml.add_bos_token": False,
    },
    "tensors": [{"name": "output_norm.weight", "type": "F32", "shape": [576]}],
    "capabilities": ["completion", "tools"],
}


def test_an_overview_has_sections(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", objects(SHOWN))
    assert lcrt("show", "m") == (
        0,
        (
            "  Model\n"
            "    architecture        llama\n"
            "    parameters          134.52M\n"
            "    context length      8192\n"
            "    embedding length    576\n"
            "    quantization        Q4_1\n"
            "\n"
            "  Capabilities\n"
            "    completion\n"
            "    tools\n"
            "\n"
            "  Parameters\n"
            "    num_ctx    2048\n"
            '    stop       "USER"\n'
            "\n"
            "  System\n"
            "    You are Mario.\n"
            "\n"
            "  License\n"
            "    MIT\n"
            "    Copyright\n"
            "    ...\n"
            "\n"
        ),
        "",
    )


def test_verbose_adds_metadata_and_tensors(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", objects(SHOWN))
    lines = [line.split("    ")[1:] for line in lcrt("show", "-v", "m").out.splitlines()]
    assert fake.bodies("/api/show") == [{"model": "m", "verbose": True}]
    found = {line[0]: line[-1].strip() for line in lines if line}
    assert found["llama.rope.freq_base"] == "100000"
    assert found["llama.eps"] == "1e-05"
    assert found["tokenizer.ggml.add_bos_token"] == "false"
    assert found["tokenizer.ggml.tokens"] == "[token0, token1 ...+98 more]"
    assert found["output_norm.weight"] == "[576]"


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--license", "MIT\n\nCopyright\nAll of it\n\n"),
        ("--modelfile", "FROM x\n\n"),
        ("--system", "You are Mario."),
        ("--template", "{{ .Prompt }}"),
    ],
)
def test_one_part_is_printed_as_it_is(lcrt: Lcrt, fake: FakeDaemon, flag: str, text: str) -> None:
    fake.on("POST", "/api/show", objects(SHOWN))
    assert lcrt("show", "m", flag) == (0, text, "")


def test_two_parts_are_a_usage_error(lcrt: Lcrt) -> None:
    result = lcrt("show", "m", "--license", "--system")
    assert result.code == 2
    expected = "only one of '--license', '--modelfile', '--parameters', '--system', or '--template' can be specified"
    assert result.err == f"Error: {expected}\n"


def test_an_unknown_model_is_an_error(lcrt: Lcrt, fake: FakeDaemon) -> None:
    fake.on("POST", "/api/show", failure(404, "model 'm:latest' not found"))
    assert lcrt("show", "m") == (
        1,
        "",
        "Error: model 'm:latest' not found\n`lcrt list` shows what is here, `lcrt pull` fetches others\n",
    )
