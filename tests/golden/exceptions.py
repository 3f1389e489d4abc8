"""Recorded samples that this version answers otherwise, each with the reason."""

_STRUCTURED = "structured output comes in a later version"
_EMBEDDINGS = "embeddings come in a later version"
_TOOLS = "tool calls come in a later version"
_THINKING = "thinking comes in a later version"
_TEMPLATES = "Go templates come in a later version"
_REGISTRY = "registries come in a later version"
_RESPONSES = "the responses endpoint comes in a later version"
_ANTHROPIC = "the Anthropic dialect comes in a later version"


def _because(reason: str, *samples: str) -> dict[str, str]:
    return dict.fromkeys(samples, reason)


EXCEPTIONS: dict[str, str] = {
    **_because(
        _STRUCTURED,
        *("generate-format-json", "generate-format-json-stream", "generate-format-schema"),
        *("generate-format-bad-schema", "chat-format-json", "chat-format-schema", "chat-format-schema-stream"),
        *("openai-chat-json-object", "openai-chat-json-schema"),
    ),
    **_because(
        _EMBEDDINGS,
        *("embed-truncate-false", "embedok-array-with-empty", "embedok-dimensions-big", "embedok-long-truncate"),
        *("embedok-long-notruncate", "embedok-keepalive", "embeddingsok-legacy", "embeddingsok-legacy-long"),
        *("openai-embeddingsok-array", "openai-embeddingsok-dim"),
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
    **_because(_REGISTRY, "pull-insecure-http", "push-nonstream"),
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
    "openai-chat-max-completion-tokens": "the limit is honoured here, the recording ignores it",
    "openai-chat-developer-role": (
        "the model's own template adds a system text that the recording's template has not; the answer is longer"
    ),
}
