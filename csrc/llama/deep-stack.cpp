/* deep-stack.cpp -- a thread with a large stack, for code that recurses once for each character. */
#include <pthread.h>

#include "internal.hpp"

namespace {

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

bool run_on_deep_stack(size_t stack_size, void (*run)(void *data), void *data) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    call asked = {run, data};
    pthread_t thread;
    const bool started = pthread_attr_setstacksize(&attributes, stack_size) == 0 &&
                         pthread_create(&thread, &attributes, start, &asked) == 0;
    (void)pthread_attr_destroy(&attributes);
    return started && pthread_join(thread, nullptr) == 0;
}

} // namespace lcrt
