/* deep-stack.cpp -- a thread with a large stack, for code that recurses once for each character. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.hpp"

namespace {

/* What stays in memory between two calls. */
constexpr size_t kept_len = 256 << 10;

struct call {
    void (*run)(void *data);
    void *data;
};

void *start(void *argument) {
    const auto *asked = static_cast<const call *>(argument);
    asked->run(asked->data);
    return nullptr;
}

} // namespace

namespace lcrt {

/* Not reserved: systems refuse to promise what they do not have, and most of it is never used. The lowest page guards. */
deep_stack::deep_stack(size_t wanted) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    len = (wanted + kept_len + page - 1) / page * page;
    memory = mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory != MAP_FAILED && mprotect(memory, page, PROT_NONE) != 0) {
        (void)munmap(memory, len);
        memory = MAP_FAILED;
    }
}

deep_stack::~deep_stack() {
    if (memory != MAP_FAILED) {
        (void)munmap(memory, len);
    }
}

bool deep_stack::run(void (*function)(void *data), void *data) {
    pthread_attr_t attributes;
    if (memory == MAP_FAILED || pthread_attr_init(&attributes) != 0) {
        return false;
    }
    call asked = {function, data};
    pthread_t thread;
    const bool started = pthread_attr_setstack(&attributes, memory, len) == 0 &&
                         pthread_create(&thread, &attributes, start, &asked) == 0;
    (void)pthread_attr_destroy(&attributes);
    const bool done = started && pthread_join(thread, nullptr) == 0;
    (void)madvise(memory, len - kept_len, MADV_DONTNEED);
    return done;
}

} // namespace lcrt
