/* heads.hpp -- layers of a model that guess the token behind the next one ("MTP", "nextn"), next to its trunk.
 *
 * A second context over the same weights, of llama.cpp's type for such layers. For each position they read the token
 * there and what the trunk thought at the one before, so they follow the trunk: what it computes waits in a queue and
 * is computed here when a guess is wanted or the queue is full, and whatever is done to the trunk's memory is done to
 * theirs. What they think at a position decides guesses only, never an answer: where it is lost, they go on without.
 *
 * llama.cpp's own driver (common/speculative.cpp, draft-mtp) is not used: it computes every row at once, wants one
 * object per sequence that begins and ends with it, and knows nothing of sequences that are shared, moved, stored or
 * cut elsewhere than behind their last pass. The passes are the same ones. */
#ifndef LCRT_LLAMA_HEADS_HPP
#define LCRT_LLAMA_HEADS_HPP

#include <memory>
#include <string>
#include <vector>

#include "internal.hpp"

namespace lcrt {

class heads {
public:
    /* Null where the model has none or they cannot work here; why then is in *reason. The trunk must not have made a
     * pass yet: from then on it tells what it thinks. Neither is owned. */
    static std::unique_ptr<heads> make(const lcrt_model *model, llama_context *trunk,
                                       const llama_context_params &params, std::string *reason);
    ~heads();
    heads(const heads &) = delete;
    heads &operator=(const heads &) = delete;

    /* The trunk has computed these rows. Waits for it. */
    void follow(const llama_batch &batch);

    /* The same as in the trunk's memory. dst is empty there; whole: n is all that src holds. */
    void trim(llama_seq_id seq, llama_pos p0, llama_pos p1);
    void shift(llama_seq_id seq, llama_pos p0, llama_pos p1, llama_pos delta);
    void share(llama_seq_id src, llama_seq_id dst, llama_pos n, bool whole);
    void move(llama_seq_id src, llama_seq_id dst);

    /* What a sequence holds here, behind what it holds in the trunk. A failure to put it back leaves nothing. */
    size_t state_size(llama_seq_id seq);
    size_t state_get(llama_seq_id seq, uint8_t *out, size_t cap);
    void state_set(llama_seq_id seq, const uint8_t *data, size_t len);

    /* See backend.h. */
    lcrt_status guess(lcrt_ahead *aheads, int32_t n_aheads);

    llama_context *context() const { return llama; }

private:
    /* A sequence as far as it is not in llama.cpp's memory. */
    struct stream {
        std::vector<float> thought; /* of the trunk, at its last position ... */
        llama_pos last = -1;        /* ... which is this one; -1: not known */
    };

    heads(llama_context *own, llama_context *followed, const llama_context_params &params);

    bool works(std::string *reason);
    void add(llama_seq_id seq, llama_pos pos, llama_token token, const float *thought, bool output);
    int32_t decode();
    void flush();
    void forget(llama_seq_id seq);
    void drop_rows(llama_seq_id seq, llama_pos p0);
    bool can_guess(const lcrt_ahead &ahead);
    bool take();
    void copy_cells(llama_seq_id src, llama_seq_id dst, llama_pos n, bool whole);

    llama_context *llama;
    llama_context *trunk;
    llama_memory_t memory;
    size_t width;     /* numbers of a thought */
    size_t n_max;     /* rows of a pass */
    size_t n_waiting; /* rows of the queue */
    int32_t n_vocab;
    bool unified;
    bool broken = false; /* an error that is no full memory: nothing is guessed any more */
    std::vector<stream> streams;
    /* Rows of the next pass: the columns of a batch, n_max each. */
    size_t n_rows = 0;
    std::vector<llama_token> tokens;
    std::vector<llama_pos> positions;
    std::vector<llama_seq_id> seqs;
    std::vector<float> thoughts;
    std::vector<int8_t> outputs;
    std::vector<int32_t> n_seqs;
    std::vector<llama_seq_id *> seq_pointers;
    std::vector<lcrt_ahead *> active; /* those that have a row in the pass under way */
    std::vector<float> nothing;       /* what the trunk thought where nobody knows */
};

} // namespace lcrt

#endif
