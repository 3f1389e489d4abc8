"""Messages to a prompt, through the model's own Jinja template."""

from typing import Self, final

from lcrt.native.handle import Handle
from lcrt.native.model import Model

@final
class Chat(Handle):
    """A parsed template; ``template`` replaces the model's. Calls of several threads wait for each other.

    Raises ``UnsupportedModel`` when there is no template or it cannot be read.
    """

    def __new__(cls, model: Model, template: str | None = None) -> Self: ...
    def apply(self, request: bytes) -> bytes:
        """Render a request, JSON in and JSON out, in the form of OpenAI's chat API.

        In: ``messages``, and optionally ``tools``, ``tool_choice``, ``enable_thinking``,
        ``add_generation_prompt``, ``now`` (Unix seconds). Out: ``prompt``, ``format``,
        ``generation_prompt``, ``parser``, ``thinking_start``, ``thinking_end``, ``preserved_tokens``,
        ``stops``. Raises ``InvalidRequest`` when the template refuses the messages.
        """
