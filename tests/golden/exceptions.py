"""Recorded samples that this version answers otherwise, each with the reason."""

_SYSTEM_TEXT = (
    "the model's own template adds a system text that the recording's template has not; the answer is another one "
    "and may meet the limit where the other ends, or the other way round"
)
_EMBEDS = "a model of text makes embeddings too; the recording's server had to be started for it"
_TOOLS = "tool calls come in a later version"
_THINKING = "thinking comes in a later version"
_TEMPLATES = "Go templates come in a later version"
_RESPONSES = "the responses endpoint comes in a later version"
_ANTHROPIC = "the Anthropic dialect comes in a later version"


def _because(reason: str, *samples: str) -> dict[str, str]:
    return dict.fromkeys(samples, reason)


EXCEPTIONS: dict[str, str] = {
    **_because(
        _EMBEDS,
        *("embed-array", "embed-dimensions", "embed-dimensions-neg", "embed-null-elem", "embed-string"),
        *("embeddings-legacy", "openai-embeddings-array", "openai-embeddings-base64", "openai-embeddings-dim"),
        "openai-embeddings-empty",
    ),
    **_because(
        _TOOLS,
        *("tools-chat-nonstream", "tools-chat-stream", "tools-chat-result-roundtrip"),
        *("openai-tools-stream", "openai-tools-stream-usage", "openai-tools-choice-none"),
        *("openai-responses-tools", "caller-chat", "caller-chat-stream"),
    ),
    **_because(
        _THINKING,
        *("think-chat-true", "think-chat-true-stream", "think-chat-high-stream", "openai-think-stream"),
        *("openai-responses-think-stream", "thinker-generate", "openai-thinker-stream"),
        *("openai-responses-thinker", "openai-responses-thinker-stream"),
    ),
    **_because(_TEMPLATES, "generate-template"),
    **_because(
        _RESPONSES,
        *("openai-responses", "openai-responses-stream", "openai-responses-instructions"),
        *("openai-responses-prev-id", "openai-responses-no-input", "openai-responses-conversation"),
    ),
    **_because(
        _ANTHROPIC,
        *("anthropic-system-string", "anthropic-content-blocks", "anthropic-stop-seq"),
        *("anthropic-natural-stop-stream", "anthropic-bad-role", "anthropic-bad-block", "anthropic-thinking"),
        *("anthropic-thinking-disabled", "anthropic-image", "anthropic-tool-result", "anthropic-prefill"),
        *("anthropic-tools-text", "anthropic-tool-choice-any", "anthropic-tooluse", "anthropic-tooluse-stream"),
        *("anthropic-thinker", "anthropic-thinker-stream"),
    ),
    **_because(
        "parameters are checked when a model is made, not when it is asked",
        "create-param-bad-type",
        "create-param-unknown",
    ),
    "openai-chat-max-completion-tokens": "the limit is honoured here, the recording ignores it",
}

UNSTEADY: dict[str, str] = _because(
    _SYSTEM_TEXT,
    *("generate-format-json", "generate-format-json-stream", "openai-chat-developer-role", "chat-assistant-prefill"),
)
"""Samples whose answer may end for another reason, or as recorded: words that are nearly as likely change places
from processor to processor (in the last of these, 0.05 apart), and with them the end."""
