/* lanes-ops.cpp -- chooses the operations that are computed on vectors of floats; and GELU.
 *
 * Part of ggml's CPU backend: what ggml asks before its own functions, with the name ggml_cpu_extra_compute_forward. ggml's
 * function of that name, which knows AMX and other layouts of weights, has another when it is compiled and comes first:
 * see llama_cpp.cmake. */
#include "lanes-ops.h"

#include "ggml-cpu-impl.h"
#include "ggml-impl.h"
#include "lanes.h"
#include "traits.h"

extern "C" bool ggml_cpu_extra_compute_forward_stock(struct ggml_compute_params *params, struct ggml_tensor *op);

#ifndef LCRT_LANES

bool ggml_cpu_extra_compute_forward(struct ggml_compute_params *params, struct ggml_tensor *op) {
    return ggml_cpu_extra_compute_forward_stock(params, op);
}

#else

namespace {

using namespace lcrt_lanes;

/* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), Hendrycks and Gimpel 2016 (arXiv 1606.08415). ggml looks it up in a
 * table of halves, one number at a time. */
void gelu(const float *x, float *y, int n) {
    for (int i = 0; i < n; i += width) {
        const vec v = larger(all(-20.0F), load(x + i)); /* in this order what is not a number stays that */
        const vec inner = mul(mul(all(0.797884561F), v), fma(mul(all(0.044715F), v), v, all(1.0F)));
        store(y + i, mul(mul(all(0.5F), v), add(all(1.0F), tangent(inner))));
    }
}

} // namespace

bool lcrt_gelu(const struct ggml_compute_params *params, struct ggml_tensor *op) {
    const ggml_tensor *from = op->src[0];
    if (params->use_ref || ggml_get_unary_op(op) != GGML_UNARY_OP_GELU || from->type != GGML_TYPE_F32 ||
        op->type != GGML_TYPE_F32 || from->ne[0] % width != 0 || !ggml_is_contiguous(from) || !ggml_is_contiguous(op)) {
        return false;
    }
    const int64_t n_rows = ggml_nrows(from);
    const auto n = static_cast<size_t>(from->ne[0]);
    for (int64_t row = n_rows * params->ith / params->nth; row < n_rows * (params->ith + 1) / params->nth; row++) {
        const size_t at = static_cast<size_t>(row) * n;
        gelu(static_cast<const float *>(from->data) + at, static_cast<float *>(op->data) + at, static_cast<int>(n));
    }
    return true;
}

bool ggml_cpu_extra_compute_forward(struct ggml_compute_params *params, struct ggml_tensor *op) {
    if (ggml_cpu_extra_compute_forward_stock(params, op)) {
        return true;
    }
    switch (op->op) {
    case GGML_OP_MUL_MAT:
        return lcrt_multiply_halves(params, op) || lcrt_multiply_q4(params, op);
    case GGML_OP_UNARY:
        return lcrt_gelu(params, op);
    default:
        return false;
    }
}

#endif
