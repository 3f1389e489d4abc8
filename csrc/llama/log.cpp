/* log.cpp -- one door for llama.cpp's, ggml's and mtmd's messages, and for their failed assertions. */
#include "lcrt/log.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <stdexcept>

#include <unistd.h>

#include "internal.hpp"
#include "log.h" // llama.cpp's common
#include "mtmd.h"

namespace {

constexpr size_t TEXT_MAX = 1 << 20; /* bytes that wait at most */

struct message {
    lcrt_log_level level;
    std::string text;
};

class queue {
public:
    void open(lcrt_log_level from) {
        const std::lock_guard<std::mutex> guard(mutex);
        min_level = from;
        is_open = true;
    }

    void close() {
        const std::lock_guard<std::mutex> guard(mutex);
        is_open = false;
        changed.notify_all();
    }

    void put(lcrt_log_level level, std::string text) {
        const std::lock_guard<std::mutex> guard(mutex);
        if (!is_open || level < min_level) {
            return;
        }
        if (n_lost > 0 || n_bytes + text.size() > TEXT_MAX) {
            ++n_lost;
        } else {
            n_bytes += text.size();
            messages.push_back({level, std::move(text)});
        }
        changed.notify_one();
    }

    bool take(message &out) {
        std::unique_lock<std::mutex> guard(mutex);
        changed.wait(guard, [this] { return !messages.empty() || n_lost > 0 || !is_open; });
        if (!messages.empty()) {
            out = std::move(messages.front());
            messages.pop_front();
            n_bytes -= out.text.size();
            return true;
        }
        if (n_lost > 0) {
            out = {LCRT_LOG_WARN, std::to_string(n_lost) + " messages were lost"};
            n_lost = 0;
            return true;
        }
        return false;
    }

private:
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<message> messages;
    size_t n_bytes = 0, n_lost = 0;
    lcrt_log_level min_level = LCRT_LOG_ERROR;
    bool is_open = false;
};

/* Never freed: threads may still log while the process ends. */
queue &waiting_messages() {
    static auto *pointer = new queue();
    return *pointer;
}

thread_local std::string *keep = nullptr;
thread_local std::string *hold = nullptr;
thread_local ggml_log_level last_level = GGML_LOG_LEVEL_INFO;

void send(lcrt_log_level level, const char *text) {
    std::string line(text);
    while (!line.empty() && line.back() == '\n') {
        line.pop_back();
    }
    if (!line.empty()) {
        waiting_messages().put(level, std::move(line));
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

void warn(const std::string &text) {
    send(LCRT_LOG_WARN, text.c_str());
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

extern "C" void lcrt_log_open(lcrt_log_level min_level) {
    (void)lcrt::guarded([&] {
        lcrt::log_install();
        waiting_messages().open(min_level);
        return LCRT_OK;
    });
}

extern "C" bool lcrt_log_take(lcrt_log_level *level, char *out, size_t cap) {
    message oldest = {};
    bool found = false;
    (void)lcrt::guarded([&] {
        found = waiting_messages().take(oldest);
        return LCRT_OK;
    });
    if (found && cap > 0) {
        const size_t len = std::min(oldest.text.size(), cap - 1);
        std::memcpy(out, oldest.text.data(), len);
        out[len] = '\0';
        *level = oldest.level;
    }
    return found;
}

extern "C" void lcrt_log_close(void) {
    (void)lcrt::guarded([&] {
        waiting_messages().close();
        return LCRT_OK;
    });
}
