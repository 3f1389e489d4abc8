/* Limits of control groups, in a folder that looks like theirs. */
#include <sys/stat.h>

#include "../core/cgroup.h"
#include "folder.h"

static test_folder folder;

static void put(const char *group, const char *name, const char *text) {
    char path[600];
    (void)snprintf(path, sizeof(path), "%s%s", folder.path, group);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s%s/%s", folder.path, group, name);
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static lcrt_cgroup get(const char *self) {
    char path[600];
    put("", "self", self);
    (void)snprintf(path, sizeof(path), "%s/self", folder.path);
    return lcrt_cgroup_get(path, folder.path);
}

static void without_files_nothing_is_limited(void) {
    lcrt_cgroup none = lcrt_cgroup_get("/nowhere/self", "/nowhere");
    CHECK(none.memory_left == UINT64_MAX && none.cpus <= 0);
    none = get("12:memory:/old\n0::/\n");
    CHECK(none.memory_left == UINT64_MAX && none.cpus <= 0);
}

static void the_smallest_limit_on_the_way_up_counts(void) {
    put("/a", "memory.max", "1000\n");
    put("/a", "memory.current", "300\n");
    put("/a", "memory.stat", "anon 200\ninactive_file 100\n");
    put("/a", "cpu.max", "max 100000\n");
    put("/a/b", "memory.max", "max\n");
    put("/a/b", "cpu.max", "150000 100000\n");
    put("/a/b/c", "memory.max", "900\n");
    put("/a/b/c", "memory.current", "50\n");
    lcrt_cgroup got = get("0::/a/b/c\n");
    CHECK(got.memory_left == 800 && got.cpus > 1.49 && got.cpus < 1.51);
    put("/a/b/c", "memory.max", "700\n");
    put("/a/b/c", "cpu.max", "50000 100000\n");
    got = get("0::/a/b/c\n");
    CHECK(got.memory_left == 650 && got.cpus > 0.49 && got.cpus < 0.51);
    got = get("0::/a\n");
    CHECK(got.memory_left == 800 && got.cpus <= 0);
    got = get("0::/gone/with/all/above\n");
    CHECK(got.memory_left == UINT64_MAX && got.cpus <= 0);
}

static void limits_of_the_root_count_too(void) {
    put("", "memory.max", "500\n");
    put("", "memory.current", "600\n");
    CHECK(get("0::/a/b/c\n").memory_left == 0);
    put("", "memory.current", "100\n");
    CHECK(get("0::/\n").memory_left == 400);
    CHECK(get("0::/../../other\n").memory_left == 400);
    CHECK(get("nothing of use").memory_left == 400);
}

int main(void) {
    folder = folder_new();
    RUN(without_files_nothing_is_limited);
    RUN(the_smallest_limit_on_the_way_up_counts);
    RUN(limits_of_the_root_count_too);
    folder_free(&folder);
    return test_end();
}
