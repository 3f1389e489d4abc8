/* log.cpp -- one door for llama.cpp's, ggml's and mtmd's messages, and for their failed assertions. */
#include "lcrt/log.h"

#include <memory>
#include <mutex>
#include <stdexcept>

#include <unistd.h>

#include "internal.hpp"
#include "log.h" // llama.cpp's common
#include "mtmd.h"

namespace {

struct destination {
    lcrt_log_sink sink;
    lcrt_log_level min_level;
    void *data;
};

/* Never freed: threads may still log while the process ends. */
std::shared_ptr<const destination> &current() {
    static auto *pointer = new std::shared_ptr<const destination>();
    return *pointer;
}

thread_local std::string *keep = nullptr;
thread_local std::string *hold = nullptr;
thread_local ggml_log_level last_level = GGML_LOG_LEVEL_INFO;

void send(lcrt_log_level level, const char *text) {
    const auto to = std::atomic_load(&current());
    if (to == nullptr || to->sink == nullptr || level < to->min_level) {
        return;
    }
    std::string line(text);
    while (!line.empty() && line.back() == '\n') {
        line.pop_back();
    }
    if (!line.empty()) {
        to->sink(level, line.c_str(), to->data);
    }
}

void receive(ggml_log_level level, const char *text, void *) {
    if (level != GGML_LOG_LEVEL_CONT) {
        last_level = level;
    }
    if (level < GGML_LOG_LEVEL_DEBUG || text == nullptr) {
        return;
    }
    if (keep != nullptr && last_level == GGML_LOG_LEVEL_ERROR) {
        keep->append(text);
    }
    if (hold == nullptr) {
        send(static_cast<lcrt_log_level>(last_level), text);
    } else if (last_level >= GGML_LOG_LEVEL_WARN) {
        hold->append(text);
    }
}

/* A failed assertion. Thrown where an attempt waits for it; elsewhere the process ends, not silently. */
void assertion_failed(const char *message) {
    if (keep != nullptr) {
        const std::string text(message); /* "folder/file.cpp:12: what" */
        const size_t folder = text.rfind('/', text.find(':'));
        throw std::runtime_error(folder == std::string::npos ? text : text.substr(folder + 1));
    }
    const std::string line = std::string(message) + "\n";
    if (write(STDERR_FILENO, line.data(), line.size()) < 0) {
        receive(GGML_LOG_LEVEL_ERROR, message, nullptr);
    }
}

/* "llama_model_load: error loading model: x" -> "x"; "gguf_init_from_file: x" -> "x". */
std::string without_prefix(const std::string &line) {
    static const std::string marker = "error loading model: ";
    const size_t found = line.find(marker);
    if (found != std::string::npos) {
        return without_prefix(line.substr(found + marker.size()));
    }
    const size_t colon = line.find(": ");
    if (colon == std::string::npos || line.find(' ') < colon) {
        return line;
    }
    return line.substr(colon + 2);
}

} // namespace

namespace lcrt {

void log_install() {
    static std::once_flag once;
    std::call_once(once, [] {
        llama_log_set(receive, nullptr);
        mtmd_log_set(receive, nullptr);
        common_log_set_verbosity_thold(-1);
        ggml_set_abort_callback(assertion_failed);
    });
}

hush::hush() {
    hold = &waiting;
}

hush::~hush() {
    hold = nullptr;
}

void hush::tell() const {
    send(LCRT_LOG_ERROR, waiting.c_str());
}

attempt::attempt() : outer(keep) {
    keep = &kept;
}

attempt::~attempt() {
    keep = outer;
}

std::string attempt::reason() const {
    std::string general;
    size_t start = 0;
    while (start < kept.size()) {
        size_t end = kept.find('\n', start);
        end = end == std::string::npos ? kept.size() : end;
        const std::string line = without_prefix(kept.substr(start, end - start));
        start = end + 1;
        /* These repeat that loading failed, the reason was said before. */
        if (line.rfind("failed to load model", 0) == 0 || line.empty()) {
            continue;
        }
        if (general.empty()) {
            general = line;
        }
    }
    return general;
}

} // namespace lcrt

extern "C" void lcrt_log_set(lcrt_log_sink sink, lcrt_log_level min_level, void *data) {
    (void)lcrt::guarded([&] {
        lcrt::log_install();
        std::atomic_store(&current(), std::make_shared<const destination>(destination{sink, min_level, data}));
        return LCRT_OK;
    });
}
