"""How large a context is and how many requests share it; pure, and the same in daemon and runner."""

NUM_CTX_DEFAULT = 4096
NUM_CTX_MIN = 4
N_SLOTS_AUTO = 8
N_SLOTS_MAX = 256
N_CELLS_AUTO = 8192


def context_length(wanted: int | None, default: int, n_ctx_train: int) -> int:
    """Positions of one request: the wanted number or the default, but no more than was trained.

    ``default`` 0 means that the settings leave it open; ``n_ctx_train`` 0 that it is not known.
    """
    n_ctx = wanted if wanted is not None else default or NUM_CTX_DEFAULT
    if n_ctx_train > 0:
        n_ctx = min(n_ctx, n_ctx_train)
    return max(n_ctx, NUM_CTX_MIN)


def slot_count(n_parallel: int) -> int:
    """Requests that run at the same time; 0 leaves the choice to this function."""
    return min(n_parallel if n_parallel > 0 else N_SLOTS_AUTO, N_SLOTS_MAX)


def cell_count(n_parallel: int, n_ctx: int, n_slots: int) -> int:
    """Cells of the KV cache that the slots share.

    Whoever names a number of requests gets a whole context for each. Otherwise the pool holds at
    least one whole context, and a few thousand cells for many short requests: eight whole
    contexts would take hundreds of megabytes even for the smallest model, and are seldom full.
    """
    whole = n_ctx * n_slots
    return whole if n_parallel > 0 else min(whole, max(n_ctx, N_CELLS_AUTO))
