/* runtime.cpp -- the process-wide part: which folder the backends come from, errors as text. */
#include <cstdio>
#include <filesystem>
#include <mutex>

#include <dlfcn.h>

#include "internal.hpp"

namespace fs = std::filesystem;

namespace {

std::mutex &lock() {
    static auto *mutex = new std::mutex();
    return *mutex;
}

bool loaded = false;

bool has_cpu_backend(const fs::path &folder) {
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        if (entry->path().filename().string().find("ggml-cpu") != std::string::npos) {
            return true;
        }
    }
    return false;
}

/* The folder that holds this code, or lib/ beside it. */
fs::path default_folder() {
    Dl_info where;
    if (dladdr(reinterpret_cast<void *>(&lcrt_runtime_init), &where) == 0 || where.dli_fname == nullptr) {
        return {};
    }
    std::error_code error;
    const fs::path here = fs::absolute(where.dli_fname, error).parent_path();
    for (const fs::path &folder : {here, here / "lib", here.parent_path() / "lib"}) {
        if (has_cpu_backend(folder)) {
            return folder;
        }
    }
    return {};
}

lcrt_status load(const fs::path &folder) {
    const std::lock_guard<std::mutex> guard(lock());
    if (loaded) {
        return LCRT_OK;
    }
    lcrt::log_install();
    if (folder.empty()) {
        return LCRT_ERR_IO;
    }
    ggml_backend_load_all_from_path(folder.c_str());
    if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
        return LCRT_ERR_IO;
    }
    llama_backend_init();
    loaded = true;
    return LCRT_OK;
}

} // namespace

namespace lcrt {

lcrt_status runtime_ensure() {
    return lcrt_runtime_init(nullptr);
}

void set_error(char *err, size_t cap, const char *format, ...) {
    if (err == nullptr || cap == 0) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err, cap, format, args);
    va_end(args);
}

} // namespace lcrt

extern "C" lcrt_status lcrt_runtime_init(const char *backend_dir) {
    return lcrt::guarded([&] { return load(backend_dir != nullptr ? fs::path(backend_dir) : default_folder()); });
}
