/* internal.hpp -- what the files of csrc/llama share.
 *
 * C++ because llama.cpp throws: every function of the C API is wrapped in
 * guarded(), so that no exception leaves this folder. */
#ifndef LCRT_LLAMA_INTERNAL_HPP
#define LCRT_LLAMA_INTERNAL_HPP

#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <string>

#include "ggml-backend.h"
#include "lcrt/device.h"
#include "lcrt/model.h"
#include "lcrt/status.h"
#include "llama.h"

/* Freed when the last of its users is: contexts and chats hold a reference each. */
struct lcrt_model {
    llama_model *llama = nullptr;
    const llama_vocab *vocab = nullptr;
    bool vocab_only = false;
    bool on_host = true; /* no device but the CPU holds any of it */
    lcrt_model_info info = {};
    std::atomic<int32_t> n_refs{1};
    mutable std::mutex
        adapters; /* of the list of them, which contexts read when they plan memory: before their first pass
                          * and before the first one with another set */
};

namespace lcrt {

/* Writes a message for a person, cut to cap. */
__attribute__((format(printf, 3, 4))) void set_error(char *err, size_t cap, const char *format, ...);

/* While one lives, llama.cpp's error lines of this thread are kept, and a failed
 * assertion of this thread throws instead of ending the process. */
class attempt {
public:
    attempt();
    ~attempt();
    attempt(const attempt &) = delete;
    attempt &operator=(const attempt &) = delete;

    /* The reason among the kept lines, without function names; empty when there is none. */
    std::string reason() const;
    /* All kept lines, for looking up words in them. */
    const std::string &lines() const { return kept; }

private:
    std::string kept;
    std::string *outer;
};

/* While one lives, messages of this thread wait instead of going to the log: a full cache and an
 * interruption are answers, not news. */
class hush {
public:
    hush();
    ~hush();
    hush(const hush &) = delete;
    hush &operator=(const hush &) = delete;

    /* Lets what waited go to the log, as one error. */
    void tell() const;

private:
    std::string waiting;
};

/* A message of our own, beside llama.cpp's. */
void warn(const std::string &text);

/* Routes llama.cpp's messages and failed assertions to log.cpp. Any number of calls. */
void log_install();

/* Loads the backends from the default folder unless lcrt_runtime_init has been called. */
lcrt_status runtime_ensure();

/* Memory that new allocations of this process can have, and all of the machine's, in bytes. */
void host_memory(uint64_t *free, uint64_t *total);

/* Physical cores that this process may use, at least 1. */
int32_t host_cores();

/* True when some device other than the CPU can hold layers. */
bool has_gpu();

/* How many cells a context gets, and whether its sequences share them. */
struct kv_plan {
    int64_t n_cells;
    int32_t n_ctx_seq;
    bool unified;
};

/* A pure function. n_ctx and n_parallel are at least 1; cells_max 0 means n_ctx * n_parallel. */
kv_plan kv_plan_choose(lcrt_kv_layout wanted, int32_t n_ctx, int32_t n_parallel, int64_t cells_max);

/* False when a context would not fit into so many bytes of host memory; *needed: how many it takes, about. */
bool fits_host(const lcrt_model *model, const llama_context_params &params, uint64_t available, uint64_t *needed);

/* A stack of at least so many bytes, of which only what is used becomes memory, and no longer than it is. One call at a
 * time; it waits for a thread of its own to end. What runs must not throw. False when there is no such stack or thread. */
class deep_stack {
public:
    explicit deep_stack(size_t len);
    ~deep_stack();
    deep_stack(const deep_stack &) = delete;
    deep_stack &operator=(const deep_stack &) = delete;

    template <class F> bool run(F f) {
        return run([](void *data) { (*static_cast<F *>(data))(); }, &f);
    }

private:
    bool run(void (*function)(void *data), void *data);

    size_t len;
    void *memory;
};

/* Runs f and turns what it throws into a status. */
template <class F> lcrt_status guarded(char *err, size_t cap, F f) noexcept {
    try {
        return f();
    } catch (const std::bad_alloc &) {
        set_error(err, cap, "out of memory");
        return LCRT_ERR_NO_MEMORY;
    } catch (const std::exception &error) {
        set_error(err, cap, "%s", error.what());
        return LCRT_ERR_BACKEND;
    } catch (...) {
        set_error(err, cap, "unknown failure");
        return LCRT_ERR_BACKEND;
    }
}

template <class F> lcrt_status guarded(F f) noexcept {
    return guarded(nullptr, 0, f);
}

} // namespace lcrt

#endif
