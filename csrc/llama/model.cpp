/* model.cpp -- a GGUF file in memory, and its errors as words for a person. */
#include "lcrt/model.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>

#include <sys/stat.h>

#include "internal.hpp"

namespace {

struct progress_state {
    const lcrt_model_params *params;
    bool cancelled;
};

bool report_progress(float fraction, void *data) {
    auto *state = static_cast<progress_state *>(data);
    if (state->params->progress != nullptr && !state->params->progress(fraction, state->params->progress_data)) {
        state->cancelled = true;
    }
    return !state->cancelled;
}

/* What can be said about a file before llama.cpp reads it. */
lcrt_status look_at(const char *path, uint64_t *size, char *err, size_t cap) {
    struct stat facts = {};
    errno = 0;
    const bool found = stat(path, &facts) == 0;
    if (found && !S_ISREG(facts.st_mode)) { /* opening a pipe would wait for its writer */
        lcrt::set_error(err, cap, "cannot open `%s`: not a file", path);
        return LCRT_ERR_IO;
    }
    std::ifstream file(path, std::ios::binary);
    if (!found || !file) {
        lcrt::set_error(err, cap, "cannot open `%s`: %s", path, std::strerror(errno));
        return LCRT_ERR_IO;
    }
    char magic[4] = {0};
    file.read(magic, sizeof(magic));
    if (!file || std::memcmp(magic, "GGUF", sizeof(magic)) != 0) {
        lcrt::set_error(err, cap, "`%s` is not a GGUF file", path);
        return LCRT_ERR_FORMAT;
    }
    *size = static_cast<uint64_t>(facts.st_size);
    return LCRT_OK;
}

bool stays_on_host(const lcrt_model_params &params) {
    return params.n_gpu_layers == 0 || !lcrt::has_gpu();
}

/* Weights that cannot fit would be paged in again for every token, or end the process. */
lcrt_status check_room(const char *path, const lcrt_model_params &params, uint64_t size, char *err, size_t cap) {
    uint64_t free = 0;
    uint64_t total = 0;
    lcrt::host_memory(&free, &total);
    if (params.vocab_only || params.use_mmap == 1 || !stays_on_host(params) || size <= free) {
        return LCRT_OK;
    }
    lcrt::set_error(err, cap, "`%s` needs %.1f GiB of memory, %.1f GiB are available", path,
                    static_cast<double>(size) / (1 << 30), static_cast<double>(free) / (1 << 30));
    return LCRT_ERR_NO_MEMORY;
}

bool has_one_of(const std::string &text, std::initializer_list<const char *> words) {
    for (const char *word : words) {
        if (text.find(word) != std::string::npos) {
            return true;
        }
    }
    return false;
}

lcrt_status classify(const std::string &lines) {
    if (has_one_of(lines, {"unknown model architecture", "unknown pre-tokenizer", "unknown tokenizer", "CLIP cannot",
                           "unsupported", "not supported", "not implemented"})) {
        return LCRT_ERR_UNSUPPORTED;
    }
    if (has_one_of(lines, {"failed to allocate", "unable to allocate", "out of memory", "bad_alloc"})) {
        return LCRT_ERR_NO_MEMORY;
    }
    if (has_one_of(lines, {"failed to open", "read error", "mmap failed"})) {
        return LCRT_ERR_IO;
    }
    return LCRT_ERR_FORMAT;
}

llama_model_params to_llama(const lcrt_model_params &params, progress_state *state) {
    llama_model_params out = llama_model_default_params();
    out.n_gpu_layers = params.n_gpu_layers;
    if (params.main_gpu >= 0) {
        out.split_mode = LLAMA_SPLIT_MODE_NONE;
        out.main_gpu = params.main_gpu;
    }
    if (params.use_mmap >= 0) {
        out.load_mode = params.use_mmap != 0 ? LLAMA_LOAD_MODE_MMAP : LLAMA_LOAD_MODE_NONE;
    }
    out.vocab_only = params.vocab_only;
    out.check_tensors = params.check_tensors;
    out.load_mtp = params.heads;
    out.progress_callback = report_progress;
    out.progress_callback_user_data = state;
    return out;
}

/* A scalar that the architecture's own keys hold; empty when it is absent. */
std::string arch_value(const llama_model *llama, const char *name) {
    char arch[64];
    char value[64];
    if (llama_model_meta_val_str(llama, "general.architecture", arch, sizeof(arch)) < 0) {
        return {};
    }
    const std::string key = std::string(arch) + name;
    return llama_model_meta_val_str(llama, key.c_str(), value, sizeof(value)) < 0 ? std::string() : value;
}

/* What llama.cpp would notice in the middle of a pass only, by ending the process. */
bool sane(const llama_model *llama) {
    for (const char *name : {".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon"}) {
        const std::string value = arch_value(llama, name);
        if (!value.empty() && !(std::strtof(value.c_str(), nullptr) >= 0.0F)) {
            return false;
        }
    }
    return true;
}

lcrt_model_info facts_of(const llama_model *llama, const llama_vocab *vocab, const lcrt_model_params &params) {
    lcrt_model_info info = {};
    info.n_vocab = llama_vocab_n_tokens(vocab);
    info.embedding = !arch_value(llama, ".pooling_type").empty();
    info.has_encoder = llama_model_has_encoder(llama);
    info.has_decoder = llama_model_has_decoder(llama);
    if (params.vocab_only) {
        return info;
    }
    info.n_ctx_train = llama_model_n_ctx_train(llama);
    info.n_embd = llama_model_n_embd(llama);
    info.n_layer = llama_model_n_layer(llama);
    info.n_head = llama_model_n_head(llama);
    info.n_head_kv = llama_model_n_head_kv(llama);
    info.n_swa = llama_model_n_swa(llama);
    info.n_params = llama_model_n_params(llama);
    info.size = llama_model_size(llama);
    info.recurrent = llama_model_is_recurrent(llama);
    info.hybrid = llama_model_is_hybrid(llama);
    info.n_heads_ahead = params.heads ? llama_model_n_layer_nextn(llama) : 0;
    return info;
}

lcrt_status read_file(const char *path, const lcrt_model_params &params, lcrt_model **out, char *err, size_t cap) {
    progress_state state = {&params, false};
    const lcrt::attempt attempt;
    llama_model *llama = llama_model_load_from_file(path, to_llama(params, &state));
    if (llama != nullptr && !sane(llama)) {
        llama_model_free(llama);
        lcrt::set_error(err, cap, "cannot load `%s`: its normalisation epsilon is negative", path);
        return LCRT_ERR_FORMAT;
    }
    if (llama != nullptr) {
        auto *model = new lcrt_model;
        model->llama = llama;
        model->vocab = llama_model_get_vocab(llama);
        model->vocab_only = params.vocab_only;
        model->on_host = stays_on_host(params);
        model->info = facts_of(llama, model->vocab, params);
        *out = model;
        return LCRT_OK;
    }
    if (state.cancelled) {
        lcrt::set_error(err, cap, "loading `%s` was cancelled", path);
        return LCRT_ERR_CANCELLED;
    }
    const std::string reason = attempt.reason();
    lcrt::set_error(err, cap, "cannot load `%s`: %s", path, reason.empty() ? "no reason given" : reason.c_str());
    return classify(attempt.lines());
}

} // namespace

extern "C" lcrt_model_params lcrt_model_params_default(void) {
    lcrt_model_params params = {};
    params.n_gpu_layers = -1;
    params.main_gpu = -1;
    params.use_mmap = -1;
    return params;
}

extern "C" lcrt_status lcrt_model_load(const char *path, const lcrt_model_params *params, lcrt_model **out, char *err,
                                       size_t err_cap) {
    return lcrt::guarded(err, err_cap, [&] {
        if (path == nullptr || params == nullptr || out == nullptr) {
            return LCRT_ERR_INVALID;
        }
        uint64_t size = 0;
        lcrt_status status = look_at(path, &size, err, err_cap);
        if (status == LCRT_OK && lcrt::runtime_ensure() != LCRT_OK) {
            lcrt::set_error(err, err_cap, "no CPU backend was found beside the library");
            status = LCRT_ERR_IO;
        }
        if (status == LCRT_OK) {
            status = check_room(path, *params, size, err, err_cap);
        }
        return status == LCRT_OK ? read_file(path, *params, out, err, err_cap) : status;
    });
}

extern "C" lcrt_model *lcrt_model_ref(lcrt_model *model) {
    model->n_refs.fetch_add(1, std::memory_order_relaxed);
    return model;
}

extern "C" void lcrt_model_free(lcrt_model *model) {
    if (model == nullptr || model->n_refs.fetch_sub(1, std::memory_order_acq_rel) > 1) {
        return;
    }
    (void)lcrt::guarded([&] {
        llama_model_free(model->llama);
        delete model;
        return LCRT_OK;
    });
}

extern "C" void lcrt_model_info_get(const lcrt_model *model, lcrt_model_info *out) {
    *out = model->info;
}

extern "C" int32_t lcrt_model_meta(const lcrt_model *model, const char *key, char *out, size_t cap) {
    int32_t length = -1;
    (void)lcrt::guarded([&] {
        length = llama_model_meta_val_str(model->llama, key, out, cap);
        return LCRT_OK;
    });
    return length;
}

extern "C" const char *lcrt_model_chat_template(const lcrt_model *model) {
    const char *text = nullptr;
    (void)lcrt::guarded([&] {
        text = llama_model_chat_template(model->llama, nullptr);
        return LCRT_OK;
    });
    return text;
}
