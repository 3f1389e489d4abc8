/* scratch.h -- memory of a thread for what it lays out while it multiplies. */
#ifndef LCRT_SCRATCH_H
#define LCRT_SCRATCH_H

#include <cstddef>
#include <cstdlib>

#include "ggml.h"

namespace lcrt {

/* Room for numbers, a cache line's multiple; grows, and stays until the thread ends. */
template <class T> class scratch {
public:
    scratch() = default;
    scratch(const scratch &) = delete;
    scratch &operator=(const scratch &) = delete;
    ~scratch() { std::free(data); }
    /* What was in it before is lost when it grows. */
    T *get(size_t n) {
        if (n > size) {
            std::free(data);
            data = static_cast<T *>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64));
            GGML_ASSERT(data != nullptr);
            size = n;
        }
        return data;
    }

private:
    T *data = nullptr;
    size_t size = 0;
};

} // namespace lcrt

#endif
