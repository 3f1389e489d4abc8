/* device.h -- what can compute.
 *
 * Any thread, after lcrt_runtime_init. */
#ifndef LCRT_DEVICE_H
#define LCRT_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lcrt_device {
    char name[64];
    char description[128];
    uint64_t memory_free;  /* bytes */
    uint64_t memory_total; /* bytes */
    bool gpu;
} lcrt_device;

int32_t lcrt_device_count(void);
/* False when i is out of range. */
bool lcrt_device_get(int32_t i, lcrt_device *out);

#ifdef __cplusplus
}
#endif
#endif
