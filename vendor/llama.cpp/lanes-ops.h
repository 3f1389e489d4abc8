/* lanes-ops.h -- operations of ggml's CPU backend that are computed on vectors of floats in the place of ggml's own.
 *
 * Each answers false, having done nothing, when the operation is not for it. All threads of params call it. */
#ifndef LCRT_LANES_OPS_H
#define LCRT_LANES_OPS_H

struct ggml_compute_params;
struct ggml_tensor;

/* GGML_OP_MUL_MAT with half-precision weights. */
bool lcrt_multiply_halves(const struct ggml_compute_params *params, struct ggml_tensor *op);
/* GGML_OP_MUL_MAT of several rows with weights in Q4_1. */
bool lcrt_multiply_q4(const struct ggml_compute_params *params, struct ggml_tensor *op);
/* GGML_OP_UNARY, GELU by the tangent. */
bool lcrt_gelu(const struct ggml_compute_params *params, struct ggml_tensor *op);

#endif
