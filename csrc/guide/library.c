#include "library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Of these versions the layout of the structs is known. */
#define VERSION_PREFIX "llguidance@1.9."

typedef struct symbol {
    const char *name;
    size_t offset; /* in lcrt_llg */
} symbol;

#define SYMBOL(name, field) {name, offsetof(lcrt_llg, field)}

static const symbol symbols[] = {
    SYMBOL("llg_get_version", version),
    SYMBOL("llg_constraint_init_set_defaults", setup_defaults),
    SYMBOL("llg_new_tokenizer_v2", tokenizer_new),
    SYMBOL("llg_free_tokenizer", tokenizer_free),
    SYMBOL("llg_new_matcher", matcher_new),
    SYMBOL("llg_clone_matcher", matcher_clone),
    SYMBOL("llg_free_matcher", matcher_free),
    SYMBOL("llg_matcher_get_error", matcher_error),
    SYMBOL("llg_matcher_compute_mask_into", matcher_mask),
    SYMBOL("llg_matcher_consume_tokens", matcher_accept),
    SYMBOL("llg_matcher_rollback", matcher_rewind),
    SYMBOL("llg_matcher_reset", matcher_reset),
    SYMBOL("llg_matcher_validate_tokens", matcher_valid),
    SYMBOL("llg_matcher_compute_ff_tokens", matcher_forced),
    SYMBOL("llg_matcher_is_accepting", matcher_accepting),
    SYMBOL("llg_matcher_is_stopped", matcher_stopped),
};

static lcrt_status find_symbols(lcrt_llg *llg, const char *path, char *err, size_t err_cap) {
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *found = dlsym(llg->handle, symbols[i].name);
        if (found == NULL) {
            (void)snprintf(err, err_cap, "%s has no function %s: it is not the llguidance that is needed", path,
                           symbols[i].name);
            return LCRT_ERR_UNSUPPORTED;
        }
        memcpy((char *)llg + symbols[i].offset, &found, sizeof(found));
    }
    return LCRT_OK;
}

/* Whether the library writes its defaults where the struct has them. */
static bool has_layout(const lcrt_llg *llg) {
    llg_setup setup;
    memset(&setup, 0, sizeof(setup));
    const llg_tokenizer *none = NULL;
    llg->setup_defaults(&setup, none);
    const llg_limits *limits = &setup.limits;
    return setup.log_buffer_level <= 2 && setup.log_stderr_level <= 2 && limits->n_row_items == 2000 &&
           limits->compile_fuel == 1000000 && limits->mask_fuel == 200000 && limits->n_mask_items == 50000 &&
           limits->n_lexer_states == 250000 && limits->grammar_size == 500000 && limits->large_lexemes;
}

static lcrt_status check_version(const lcrt_llg *llg, const char *path, char *err, size_t err_cap) {
    const char *version = llg->version();
    bool known = version != NULL && strncmp(version, VERSION_PREFIX, strlen(VERSION_PREFIX)) == 0;
    if (known && has_layout(llg)) {
        return LCRT_OK;
    }
    (void)snprintf(err, err_cap, "%s is %s, and llguidance 1.9 is needed", path, version != NULL ? version : "unknown");
    return LCRT_ERR_UNSUPPORTED;
}

lcrt_status lcrt_llg_init(const char *path, lcrt_llg *out, char *err, size_t err_cap) {
    lcrt_llg llg;
    memset(&llg, 0, sizeof(llg));
    llg.handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (llg.handle == NULL) {
        const char *why = dlerror();
        (void)snprintf(err, err_cap, "cannot open llguidance: %s", why != NULL ? why : path);
        return LCRT_ERR_IO;
    }
    lcrt_status status = find_symbols(&llg, path, err, err_cap);
    if (status == LCRT_OK) {
        status = check_version(&llg, path, err, err_cap);
    }
    if (status != LCRT_OK) {
        lcrt_llg_free(&llg);
        return status;
    }
    *out = llg;
    return LCRT_OK;
}

void lcrt_llg_free(lcrt_llg *llg) {
    if (llg->handle != NULL) {
        (void)dlclose(llg->handle);
        llg->handle = NULL;
    }
}
