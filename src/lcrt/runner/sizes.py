"""How large a context is and how many requests share it; pure, and the same in daemon and runner."""

NUM_CTX_DEFAULT = 4096
NUM_CTX_MIN = 4
N_SLOTS_MAX = 256
N_SLOTS_WHOLE = 4
N_SLOTS_POOL = 8
N_CELLS_POOL = 8192
KV_SIZE_AUTO = 512 << 20


def context_length(wanted: int | None, default: int, n_ctx_train: int) -> int:
    """Positions of one request: the wanted number or the default, but no more than was trained.

    ``default`` 0 means that the settings leave it open; ``n_ctx_train`` 0 that it is not known.
    """
    n_ctx = wanted if wanted is not None else default or NUM_CTX_DEFAULT
    if n_ctx_train > 0:
        n_ctx = min(n_ctx, n_ctx_train)
    return max(n_ctx, NUM_CTX_MIN)


def share(n_parallel: int, n_ctx: int, cell_size: int) -> tuple[int, int]:
    """Slots, and the cells of the KV cache that they share; ``cell_size`` in bytes.

    Whoever names a number of requests gets a whole context for each. Otherwise four requests get
    one, which computes fastest, where four contexts are small. Where they are not, more slots
    share a pool that holds at least one whole context and a few thousand cells for short requests.
    """
    if n_parallel > 0:
        n_slots = min(n_parallel, N_SLOTS_MAX)
        return n_slots, n_slots * n_ctx
    if N_SLOTS_WHOLE * n_ctx * cell_size <= KV_SIZE_AUTO:
        return N_SLOTS_WHOLE, N_SLOTS_WHOLE * n_ctx
    return N_SLOTS_POOL, min(N_SLOTS_POOL * n_ctx, max(n_ctx, N_CELLS_POOL))


def halved(n_ctx: int, n_slots: int, n_cells: int, *, keep_ctx: bool) -> tuple[int, int, int] | None:
    """Context, slots and cells of a second try after one that had no room; None when nothing can give way.

    Slots go before the length of a context, which stays what it is with ``keep_ctx``.
    """
    cells = max(n_cells // 2, n_ctx if keep_ctx else NUM_CTX_MIN)
    smaller = min(n_ctx, cells), max(n_slots // 2, 1), cells
    return smaller if cells < n_cells else None
