/* undo.hpp -- how far recurrent states can go back: over the newest pass, as far as snapshots reach, and once. The next
 * pass may put the states of sequences elsewhere, but not their snapshots. */
#ifndef LCRT_LLAMA_UNDO_HPP
#define LCRT_LLAMA_UNDO_HPP

#include <algorithm>
#include <vector>

#include "llama.h"

namespace lcrt {

class undo {
public:
    /* n: snapshots of each sequence. */
    void open(int32_t n, int32_t n_seqs) {
        n_max = n;
        left.assign(static_cast<size_t>(n_seqs), 0);
        went.assign(static_cast<size_t>(n_seqs), false);
    }

    int32_t most() const { return n_max; }

    /* A pass begins, in which others may have rows. */
    void begin_pass() { std::fill(left.begin(), left.end(), 0); }

    /* It had so many rows of this sequence; 0: this one holds something that no pass made. */
    void note_pass(int32_t seq, int32_t n_rows) {
        left[index(seq)] = std::clamp(n_rows - 1, 0, n_max);
        went[index(seq)] = false;
    }

    /* It has gone back. */
    void note_trim(int32_t seq) {
        left[index(seq)] = 0;
        went[index(seq)] = n_max > 0;
    }

    /* How many rows it can go back now. */
    int32_t reach(int32_t seq) const { return left[index(seq)]; }

    /* It has, and what llama.cpp would share with other sequences is what was before. */
    bool is_back(int32_t seq) const { return went[index(seq)]; }

private:
    static size_t index(int32_t seq) { return static_cast<size_t>(seq); }

    int32_t n_max = 0;
    std::vector<int32_t> left;
    std::vector<bool> went;
};

} // namespace lcrt

#endif
