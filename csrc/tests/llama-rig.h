/* llama-rig.h -- what tests on llama.cpp need: the model that LCRT_TEST_MODEL names, and the CPU backend alone. */
#ifndef LCRT_TEST_LLAMA_RIG_H
#define LCRT_TEST_LLAMA_RIG_H

#include "ggml-backend.h"
#include "lcrt/model.h"
#include "test.h"

#define SKIPPED 77

/* Loads the model; NULL when none is there, and the test is skipped. */
static inline lcrt_model *llama_rig_model(void) {
    const char *path = getenv("LCRT_TEST_MODEL");
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL) {
        return NULL;
    }
    (void)fclose(file);
    REQUIRE(lcrt_runtime_init(getenv("LCRT_LIB_DIR")) == LCRT_OK);
    lcrt_model *model = NULL;
    char err[512];
    const lcrt_model_params params = lcrt_model_params_default();
    REQUIRE(lcrt_model_load(path, &params, &model, err, sizeof(err)) == LCRT_OK);
    return model;
}

/* ggml's CPU backend; NULL where LCRT_LIB_DIR names none, and the test is skipped. */
static inline ggml_backend_t llama_rig_backend(void) {
    const char *folder = getenv("LCRT_LIB_DIR");
    if (folder == NULL || lcrt_runtime_init(folder) != LCRT_OK) {
        printf("no backends: LCRT_LIB_DIR does not name them\n");
        return NULL;
    }
    ggml_backend_t backend = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, NULL);
    REQUIRE(backend != NULL);
    return backend;
}

/* Computes on so many threads. */
static inline void llama_rig_compute(ggml_backend_t backend, struct ggml_cgraph *graph, int32_t n_threads) {
    ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(ggml_backend_get_device(backend));
    ggml_backend_set_n_threads_t set_threads =
        (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(registry, "ggml_backend_set_n_threads");
    REQUIRE(set_threads != NULL);
    set_threads(backend, n_threads);
    REQUIRE(ggml_backend_graph_compute(backend, graph) == GGML_STATUS_SUCCESS);
}

#endif
