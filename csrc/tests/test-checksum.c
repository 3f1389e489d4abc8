#include "../core/checksum.h"
#include "test.h"

static void known_sums_come_out(void) {
    CHECK(lcrt_checksum_of("", 0) == 0xEF46DB3751D8E999u);
    CHECK(lcrt_checksum_of("a", 1) == 0xD24EC4F1A98C6E5Bu);
    CHECK(lcrt_checksum_of("abc", 3) == 0x44BC2CF5AD770999u);
    const char *text = "Nobody inspects the spammish repetition";
    CHECK(lcrt_checksum_of(text, strlen(text)) == 0xFBCEA83C8A378BF1u);
}

static void the_cut_of_a_stream_does_not_matter(void) {
    uint8_t data[150];
    uint64_t random = 1;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)test_random(&random);
    }
    for (size_t len = 0; len <= sizeof(data); len++) {
        uint64_t whole = lcrt_checksum_of(data, len);
        for (size_t cut = 0; cut <= len; cut++) {
            lcrt_checksum sum;
            lcrt_checksum_init(&sum);
            lcrt_checksum_add(&sum, data, cut);
            (void)lcrt_checksum_get(&sum);
            lcrt_checksum_add(&sum, data + cut, len - cut);
            CHECK(lcrt_checksum_get(&sum) == whole);
        }
    }
}

static void every_flip_shows(void) {
    uint8_t data[99] = {0};
    uint64_t before = lcrt_checksum_of(data, sizeof(data));
    for (size_t i = 0; i < sizeof(data) * 8; i++) {
        data[i / 8] ^= (uint8_t)(1 << (i % 8));
        CHECK(lcrt_checksum_of(data, sizeof(data)) != before);
        data[i / 8] ^= (uint8_t)(1 << (i % 8));
    }
}

int main(void) {
    RUN(known_sums_come_out);
    RUN(the_cut_of_a_stream_does_not_matter);
    RUN(every_flip_shows);
    return test_end();
}
