"""From a row of logits to one token."""

from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from lcrt.core.options import Sampling
from lcrt.native.handle import Handle

NEVER: float
"""The bias that forbids a token."""

@final
class SamplingArgument:
    """A ``Sampling`` as C has it, for the time of a call. Raises ``InvalidRequest`` for numbers too large.

    The tokens in ``suppressed`` never come out.
    """

    def __new__(cls, sampling: Sampling, suppressed: tuple[int, ...] = ()) -> Self: ...

@final
class Sampler(Handle):
    """Draws tokens as one request wants them. ``n_vocab`` is the length of a row of logits.

    A seed of None is a random one. Raises ``InvalidRequest`` for parameters out of range.
    """

    def __new__(cls, n_vocab: int, sampling: Sampling | None = None) -> Self: ...
    @property
    def n_vocab(self) -> int:
        """The length of a row."""

    def sample(self, logits: NDArray[np.floating] | Buffer, mask: NDArray[np.uint32] | Buffer | None = None) -> int:
        """Draw a token from float32 logits of shape (n_vocab,); -1 when ``mask`` allows none.

        Bit ``t % 32`` of ``mask[t // 32]`` (uint32) says whether token ``t`` may come out.
        """

    def candidates(
        self, logits: NDArray[np.floating] | Buffer, mask: NDArray[np.uint32] | Buffer | None = None
    ) -> list[tuple[int, float]]:
        """What could come out: at most 1024 pairs of token and probability, the likeliest first."""

    def accept(self, token: int) -> None:
        """Put a token of the prompt or the answer into the window of the penalties."""
