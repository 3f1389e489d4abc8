/* heads.cpp -- see heads.hpp. The engine thread's; nothing is allocated per pass but by llama.cpp itself. */
#include "heads.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "../src/llama-ext.h" // beside common/, llama.cpp's staging header: what a trunk thinks

namespace {

/* Rows that wait at most. They are those of one pass at least if it may have guesses in it, so that cutting these off
 * finds what the trunk thought before them. A prompt's rows do not wait: their time is the prompt's. */
constexpr size_t n_waiting_max = 64;

/* What is in front of the cells in a stored state. */
struct state_head {
    int32_t last;
    uint32_t n_numbers;
};

using context_ptr = std::unique_ptr<llama_context, decltype(&llama_free)>;

/* Architectures whose graphs have no such layers, and files that name them without holding them, end here. */
context_ptr make_context(const lcrt_model *model, llama_context_params params, std::string *reason) {
    const lcrt::attempt attempt;
    const lcrt::hush hush;
    params.ctx_type = LLAMA_CONTEXT_TYPE_MTP;
    params.n_rs_seq = 0;
    params.abort_callback = nullptr; /* short passes, and one that is given up loses rows */
    context_ptr made(nullptr, llama_free);
    try {
        made.reset(llama_init_from_model(model->llama, params));
        *reason = attempt.reason();
    } catch (const std::exception &error) {
        *reason = error.what();
    }
    return made;
}

llama_token likeliest(const float *logits, int32_t n_vocab) {
    return static_cast<llama_token>(std::max_element(logits, logits + n_vocab) - logits);
}

} // namespace

namespace lcrt {

heads::heads(llama_context *own, llama_context *followed, const llama_context_params &params)
    : llama(own), trunk(followed), memory(llama_get_memory(own)),
      width(static_cast<size_t>(llama_model_n_embd_out(llama_get_model(own)))), n_max(llama_n_batch(own)),
      n_waiting(std::min(n_max, n_waiting_max)),
      n_vocab(llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(own)))), unified(params.kv_unified),
      streams(params.n_seq_max), tokens(n_max), positions(n_max), seqs(n_max), thoughts(n_max * width), outputs(n_max),
      n_seqs(n_max, 1), seq_pointers(n_max), nothing(width, 0.0F) {
    for (size_t i = 0; i < n_max; i++) {
        seq_pointers[i] = &seqs[i];
    }
    for (stream &one : streams) {
        one.thought.resize(width);
    }
}

heads::~heads() {
    llama_free(llama);
}

std::unique_ptr<heads> heads::make(const lcrt_model *model, llama_context *trunk, const llama_context_params &params,
                                   std::string *reason) {
    context_ptr context = make_context(model, params, reason);
    if (context == nullptr) {
        return nullptr;
    }
    std::unique_ptr<heads> made(new heads(context.get(), trunk, params));
    (void)context.release();
    llama_set_embeddings_nextn(made->llama, true, true);
    if (!made->works(reason)) {
        return nullptr;
    }
    llama_set_embeddings_nextn(trunk, true, false);
    return made;
}

/* Tries a pass. The memory is empty before and after. */
bool heads::works(std::string *reason) {
    const attempt attempt;
    bool worked = false;
    *reason = "a pass through them fails";
    try {
        add(0, 0, 0, nothing.data(), true);
        worked = decode() == 0 && llama_get_logits_ith(llama, 0) != nullptr &&
                 llama_get_embeddings_nextn_ith(llama, 0) != nullptr;
    } catch (const std::exception &error) {
        *reason = error.what();
    }
    llama_memory_clear(memory, true);
    return worked;
}

void heads::add(llama_seq_id seq, llama_pos pos, llama_token token, const float *thought, bool output) {
    tokens[n_rows] = token;
    positions[n_rows] = pos;
    seqs[n_rows] = seq;
    outputs[n_rows] = output ? 1 : 0;
    std::memmove(&thoughts[n_rows * width], thought, width * sizeof(float)); /* which may be where it is already */
    n_rows++;
}

/* Computes the rows; what llama_decode says. They stay where they are, their number becomes 0. */
int32_t heads::decode() {
    llama_batch batch = {};
    batch.n_tokens = static_cast<int32_t>(n_rows);
    batch.token = tokens.data();
    batch.embd = thoughts.data();
    batch.pos = positions.data();
    batch.n_seq_id = n_seqs.data();
    batch.seq_id = seq_pointers.data();
    batch.logits = outputs.data();
    n_rows = 0;
    const hush hush;
    const int32_t code = llama_decode(llama, batch);
    if (code < -1) { /* -1: rows that do not follow what is there. Nothing has changed; they begin anew. */
        broken = true;
        hush.tell();
    }
    return code;
}

/* Rows that cannot be computed leave their sequences without cells, to begin again behind them. */
void heads::flush() {
    const size_t n = n_rows;
    if (n == 0 || decode() == 0) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        (void)llama_memory_seq_rm(memory, seqs[i], -1, -1);
    }
}

void heads::follow(const llama_batch &batch) {
    const auto n = static_cast<size_t>(batch.n_tokens);
    const float *thought = broken ? nullptr : llama_get_embeddings_nextn(trunk);
    if (thought == nullptr) {
        return;
    }
    if (n_rows + n > n_waiting) {
        flush();
    }
    for (size_t i = 0; i < n; i++, thought += width) {
        const llama_seq_id seq = batch.seq_id[i][0];
        stream &own = streams[static_cast<size_t>(seq)];
        const bool known = own.last >= 0 && own.last == batch.pos[i] - 1;
        add(seq, batch.pos[i], batch.token[i], known ? own.thought.data() : nothing.data(), false);
        std::copy_n(thought, width, own.thought.begin());
        own.last = batch.pos[i];
    }
    if (n > n_waiting) {
        flush();
    }
}

void heads::forget(llama_seq_id seq) {
    trim(seq, 0, -1);
}

/* Takes the rows of a sequence from p0 on out of the queue. The first of them still knows what the trunk thought at the
 * last position that stays. */
void heads::drop_rows(llama_seq_id seq, llama_pos p0) {
    stream &own = streams[static_cast<size_t>(seq)];
    const size_t n = std::exchange(n_rows, 0);
    if (own.last >= p0) {
        own.last = -1;
    }
    for (size_t i = 0; i < n; i++) {
        const float *thought = &thoughts[i * width];
        if (seqs[i] != seq || positions[i] < p0) {
            add(seqs[i], positions[i], tokens[i], thought, false);
        } else if (positions[i] == p0 && p0 > 0) {
            std::copy_n(thought, width, own.thought.begin());
            own.last = p0 - 1;
        }
    }
}

void heads::trim(llama_seq_id seq, llama_pos p0, llama_pos p1) {
    if (p1 < 0) {
        drop_rows(seq, p0);
    } else {
        flush();
    }
    (void)llama_memory_seq_rm(memory, seq, p0 > 0 ? p0 : -1, p1);
}

void heads::shift(llama_seq_id seq, llama_pos p0, llama_pos p1, llama_pos delta) {
    stream &own = streams[static_cast<size_t>(seq)];
    flush();
    if (llama_memory_can_shift(memory)) {
        llama_memory_seq_add(memory, seq, p0, p1, delta);
    } else {
        (void)llama_memory_seq_rm(memory, seq, -1, -1);
    }
    if (own.last >= p0 && (p1 < 0 || own.last < p1)) {
        own.last += delta;
    }
}

void heads::share(llama_seq_id src, llama_seq_id dst, llama_pos n, bool whole) {
    const stream &from = streams[static_cast<size_t>(src)];
    forget(dst);
    flush();
    copy_cells(src, dst, n, whole);
    if (whole || from.last == n - 1) {
        streams[static_cast<size_t>(dst)] = from;
    }
}

void heads::move(llama_seq_id src, llama_seq_id dst) {
    share(src, dst, 0, true);
    forget(src);
}

/* Streams that share nothing have them written out and read in again. */
void heads::copy_cells(llama_seq_id src, llama_seq_id dst, llama_pos n, bool whole) {
    if (llama_memory_seq_pos_max(memory, src) < 0) {
        return;
    }
    if (unified) {
        llama_memory_seq_cp(memory, src, dst, whole ? -1 : 0, whole ? -1 : n);
        return;
    }
    std::vector<uint8_t> state(llama_state_seq_get_size(llama, src));
    const size_t written = llama_state_seq_get_data(llama, state.data(), state.size(), src);
    const attempt attempt;
    const bool copied = written > 0 && llama_state_seq_set_data(llama, state.data(), written, dst) > 0;
    if (!copied || !whole) {
        (void)llama_memory_seq_rm(memory, dst, copied ? n : -1, -1);
    }
}

size_t heads::state_size(llama_seq_id seq) {
    flush();
    return sizeof(state_head) + width * sizeof(float) + llama_state_seq_get_size(llama, seq);
}

size_t heads::state_get(llama_seq_id seq, uint8_t *out, size_t cap) {
    const stream &own = streams[static_cast<size_t>(seq)];
    const state_head head = {own.last, static_cast<uint32_t>(width)};
    const size_t begin = sizeof(head) + width * sizeof(float);
    flush();
    if (cap < begin) {
        return 0;
    }
    std::memcpy(out, &head, sizeof(head));
    std::memcpy(out + sizeof(head), own.thought.data(), width * sizeof(float));
    const size_t len = llama_state_seq_get_data(llama, out + begin, cap - begin, seq);
    return len > 0 ? begin + len : 0;
}

void heads::state_set(llama_seq_id seq, const uint8_t *data, size_t len) {
    stream &own = streams[static_cast<size_t>(seq)];
    state_head head = {};
    const size_t begin = sizeof(head) + width * sizeof(float);
    forget(seq);
    if (len < begin) {
        return;
    }
    std::memcpy(&head, data, sizeof(head));
    if (head.n_numbers != width) {
        return;
    }
    const attempt attempt;
    if (llama_state_seq_set_data(llama, data + begin, len - begin, seq) != len - begin) {
        (void)llama_memory_seq_rm(memory, seq, -1, -1);
    }
    std::memcpy(own.thought.data(), data + sizeof(head), width * sizeof(float));
    own.last = head.last;
}

/* A token for each of those that have a row in the pass; those that want more have one in the next. */
bool heads::take() {
    size_t n = 0;
    for (size_t i = 0; i < active.size(); i++) {
        lcrt_ahead *ahead = active[i];
        const float *logits = llama_get_logits_ith(llama, static_cast<int32_t>(i));
        const float *thought = llama_get_embeddings_nextn_ith(llama, static_cast<int32_t>(i));
        if (logits == nullptr || thought == nullptr) {
            return false;
        }
        ahead->out[ahead->n++] = likeliest(logits, n_vocab);
        if (ahead->n < ahead->n_max) {
            add(ahead->seq, ahead->pos + ahead->n, ahead->out[ahead->n - 1], thought, true);
            active[n++] = ahead;
        }
    }
    active.resize(n);
    return true;
}

bool heads::can_guess(const lcrt_ahead &ahead) {
    return !broken && ahead.n_max > 0 && ahead.pos > 0 && streams[static_cast<size_t>(ahead.seq)].last == ahead.pos - 1;
}

lcrt_status heads::guess(lcrt_ahead *aheads, int32_t n_aheads) {
    flush();
    active.clear();
    for (lcrt_ahead *ahead = aheads; ahead < aheads + n_aheads; ahead++) {
        ahead->n = 0;
        if (can_guess(*ahead)) {
            add(ahead->seq, ahead->pos, ahead->token, streams[static_cast<size_t>(ahead->seq)].thought.data(), true);
            active.push_back(ahead);
        }
    }
    bool goes_on = true;
    while (goes_on && !active.empty()) {
        goes_on = decode() == 0 && take();
    }
    n_rows = 0;
    /* The trunk's own thoughts are better: once it has computed these tokens, so does follow. */
    for (const lcrt_ahead *ahead = aheads; ahead < aheads + n_aheads; ahead++) {
        (void)llama_memory_seq_rm(memory, ahead->seq, ahead->pos, -1);
    }
    return broken ? LCRT_ERR_BACKEND : LCRT_OK;
}

} // namespace lcrt
