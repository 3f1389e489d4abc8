/* device.cpp -- what can compute, and what the machine under it has. */
#include "lcrt/device.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

#include "../core/cgroup.h"
#include "internal.hpp"

namespace {

/* The number after a word in a file of "word number" lines; fallback when it is not there. */
uint64_t number_in(const char *path, const std::string &word, uint64_t fallback) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream parts(line);
        std::string first;
        uint64_t value = 0;
        if (static_cast<bool>(parts >> first >> value) && first == word) {
            return value;
        }
    }
    return fallback;
}

/* What the groups leave that this process is in, a container's among them. */
lcrt_cgroup limits() {
    return lcrt_cgroup_get("/proc/self/cgroup", "/sys/fs/cgroup");
}

void copy_text(char *out, size_t cap, const char *text) {
    lcrt::set_error(out, cap, "%s", text != nullptr ? text : "");
}

} // namespace

namespace lcrt {

void host_memory(uint64_t *free, uint64_t *total) {
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
    *total = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
    const uint64_t kib = number_in("/proc/meminfo", "MemAvailable:", *total / 1024);
    *free = std::min(kib * 1024, limits().memory_left);
}

int32_t host_cores() {
    int32_t cores = static_cast<int32_t>(sysconf(_SC_NPROCESSORS_ONLN));
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
        /* Hardware threads of one core name the same siblings. */
        std::set<std::string> siblings;
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &allowed)) {
                continue;
            }
            std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
            std::string name = "cpu" + std::to_string(cpu);
            file >> name;
            siblings.insert(name);
        }
        cores = static_cast<int32_t>(siblings.size());
    }
#endif
    const double cpus = limits().cpus;
    const int32_t allowed_cpus = cpus > 0 ? static_cast<int32_t>(std::ceil(std::min(cpus, 1e6))) : cores;
    return std::max(1, std::min(cores, allowed_cpus));
}

bool has_gpu() {
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        const auto type = ggml_backend_dev_type(ggml_backend_dev_get(i));
        if (type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU) {
            return true;
        }
    }
    return false;
}

} // namespace lcrt

extern "C" int32_t lcrt_device_count(void) {
    return static_cast<int32_t>(ggml_backend_dev_count());
}

extern "C" bool lcrt_device_get(int32_t i, lcrt_device *out) {
    const lcrt_status status = lcrt::guarded([&] {
        if (i < 0 || i >= lcrt_device_count()) {
            return LCRT_ERR_INVALID;
        }
        ggml_backend_dev_t device = ggml_backend_dev_get(static_cast<size_t>(i));
        const auto type = ggml_backend_dev_type(device);
        *out = {};
        copy_text(out->name, sizeof(out->name), ggml_backend_dev_name(device));
        copy_text(out->description, sizeof(out->description), ggml_backend_dev_description(device));
        out->gpu = type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
        if (type == GGML_BACKEND_DEVICE_TYPE_CPU) {
            lcrt::host_memory(&out->memory_free, &out->memory_total);
            return LCRT_OK;
        }
        size_t free = 0;
        size_t total = 0;
        ggml_backend_dev_memory(device, &free, &total);
        out->memory_free = free;
        out->memory_total = total;
        return LCRT_OK;
    });
    return status == LCRT_OK;
}
