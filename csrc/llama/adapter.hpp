/* adapter.hpp -- adapters and sets of them, as contexts hold them. */
#ifndef LCRT_LLAMA_ADAPTER_HPP
#define LCRT_LLAMA_ADAPTER_HPP

#include <memory>
#include <vector>

#include "internal.hpp"
#include "lcrt/adapter.h"

/* Its owner and every set have a reference. */
struct lcrt_adapter {
    lcrt_model *model = nullptr; /* a reference */
    llama_adapter_lora *llama = nullptr;
    uint64_t size = 0;
    std::atomic<int32_t> n_refs{1};
};

namespace lcrt {

/* Adapters with a scale for each; does not change. */
class adapter_set {
public:
    adapter_set() = default;
    adapter_set(lcrt_adapter *const *list, const float *strengths, int32_t n);
    ~adapter_set();
    adapter_set(const adapter_set &) = delete;
    adapter_set &operator=(const adapter_set &) = delete;

    /* Has a context apply it. The context's next pass reads the model's list of adapters: the caller holds the
     * model's lock for it. */
    lcrt_status apply(llama_context *llama) const;

    /* Whether a set can be made of this at all. */
    static bool sensible(lcrt_adapter *const *list, const float *strengths, int32_t n);
    bool belongs_to(const lcrt_model *model) const;

private:
    std::vector<lcrt_adapter *> adapters;
    std::vector<float> scales;
};

} // namespace lcrt

#endif
