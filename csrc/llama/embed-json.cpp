/* embed-json.cpp -- vectors as JSON. */
#include <charconv>

#include "lcrt/embed.h"

namespace {

constexpr int32_t json_number_max = 17; /* "-1.17549435e-38" and a comma */

} // namespace

extern "C" int32_t lcrt_embed_json(const float *numbers, int32_t n, char *out, int32_t cap) {
    const int64_t needed = 2 + int64_t{n} * json_number_max;
    if (n < 0 || needed > INT32_MAX || cap < needed) {
        return n < 0 || needed > INT32_MAX ? 0 : static_cast<int32_t>(-needed);
    }
    char *at = out;
    *at++ = '[';
    for (int32_t i = 0; i < n; i++) {
        at = std::to_chars(at, at + json_number_max, numbers[i]).ptr;
        *at++ = ',';
    }
    at -= n > 0 ? 1 : 0;
    *at++ = ']';
    return static_cast<int32_t>(at - out);
}
