"""What a runner may guess with: how many tokens at once, layers of the model for that, or a smaller model."""

import logging

from lcrt.core.model import LoadRequest
from lcrt.native.model import Model
from lcrt.native.values import ModelInfo, ModelParams

log = logging.getLogger("lcrt.runner")

N_DRAFT = 16
"""Tokens guessed at once at most; the engine finds out how many of them pay."""

N_DRAFT_MAX = 32


def n_draft(request: LoadRequest) -> int:
    """Count the tokens that may be guessed at once."""
    if request.speculation == "off":
        return 0
    wanted = request.options.draft_num_predict
    return N_DRAFT if wanted is None else min(wanted, N_DRAFT_MAX)


def wants_heads(request: LoadRequest) -> bool:
    """Whether layers of the model itself may guess, if it has any: a draft model is there to do better."""
    return request.speculation == "auto" and n_draft(request) != 0 and not request.model.draft


def load_draft(request: LoadRequest, info: ModelInfo, params: ModelParams) -> Model | None:
    """Load the smaller model that guesses for the one with ``info``, if it is wanted. Raises what ``Model`` raises."""
    path = request.model.draft
    if not path or request.speculation != "auto" or n_draft(request) == 0:
        return None
    if info.recurrent or info.hybrid or info.n_swa > 0:
        log.warning("the draft model is not loaded: this model's memory cannot be cut, so nothing can guess for it")
        return None
    return Model(path, params)
