/* context.hpp -- one llama_context with what belongs to it: its threads and its batch. */
#ifndef LCRT_LLAMA_CONTEXT_HPP
#define LCRT_LLAMA_CONTEXT_HPP

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "adapter.hpp"
#include "heads.hpp"
#include "internal.hpp"
#include "undo.hpp"

namespace lcrt {

/* ggml's own threads, which live in the CPU backend and are reached through its registry. */
class thread_pool {
public:
    thread_pool() = default;
    ~thread_pool() { stop(); }
    thread_pool(const thread_pool &) = delete;
    thread_pool &operator=(const thread_pool &) = delete;

    /* Starts n threads, the caller's included, and lends them to a context. False when that is impossible:
     * the context then starts threads for every pass. */
    bool start(llama_context *llama, int32_t n);
    /* To one more, which makes no pass while the other does. */
    void lend(llama_context *llama) const;
    /* After the context has been freed. */
    void stop();

private:
    ggml_threadpool_t pool = nullptr;
};

struct context {
    lcrt_model *model = nullptr; /* a reference */
    llama_context *llama = nullptr;
    llama_memory_t memory = nullptr;
    lcrt_backend_info info = {};
    int32_t n_outputs_max = 0;
    int32_t n_window = 0;   /* positions that a sliding window keeps; 0: all are kept */
    bool goes_back = false; /* the newest positions can be forgotten one by one */
    lcrt::undo undo;        /* of the newest pass, where it cannot go back further */
    std::atomic<bool> interrupted{false};
    thread_pool threads;
    std::unique_ptr<lcrt::heads> heads; /* null: it does not guess */
    std::vector<uint8_t> state;         /* one sequence on its way to another stream */
    std::vector<llama_pos> first;       /* per sequence, the lowest position of the current batch */
    std::vector<llama_token> tokens;    /* the columns of the batch, n_batch each */
    std::vector<llama_pos> positions;
    std::vector<int32_t> n_seq_ids;
    std::vector<llama_seq_id> seq_ids;
    std::vector<llama_seq_id *> seq_id_pointers;
    std::vector<int8_t> outputs;
    int32_t n_rows = 0; /* of the last pass, 0 when it failed */

    std::shared_ptr<const adapter_set> set; /* in force */
    bool reserves = false;                  /* the next pass plans its memory anew */
    std::mutex sets_mutex;                  /* for what is below */
    std::map<uint64_t, std::shared_ptr<const adapter_set>> sets;

    context() = default;
    ~context();
    context(const context &) = delete;
    context &operator=(const context &) = delete;
};

extern const lcrt_backend_vtable context_vtable;

/* adapter.cpp: what is behind this name in backend.h. */
lcrt_status adapt(void *self, uint64_t set);

/* state.cpp: what is behind these names in backend.h, and what the memory can do. */
int32_t trim_min(void *self, int32_t seq);
size_t state_size(void *self, int32_t seq, bool part);
lcrt_status state_get(void *self, int32_t seq, bool part, uint8_t *out, size_t cap, size_t *len);
lcrt_status state_set(void *self, int32_t seq, bool part, const uint8_t *data, size_t len);
/* A sequence that has gone back holds what it goes on from, as others may share it. */
lcrt_status settle(context *ctx, int32_t seq);
/* Finds out by a pass over two tokens whether one of them can be forgotten; the memory is empty before and after. */
bool probe_trim(context *ctx);

} // namespace lcrt

#endif
