/* attention-tiles.h -- whole tiles for every thread in ggml's flash attention on CPUs.
 *
 * Included by force before ggml's ops.cpp. The rows of all heads are dealt out in four
 * chunks a thread, unless the machine is NUMA: then in one. A tile has 64 rows of one
 * head, and a chunk that begins or ends inside a head costs a whole tile for what it
 * has of it. With 9 heads and 64 rows, two threads computed 16 tiles for 9 tiles of
 * work: prompts beside running streams, which come in chunks of 64 rows, cost almost
 * twice as much as at full width. One chunk a thread leaves 10. */
#ifndef LCRT_ATTENTION_TILES_H
#define LCRT_ATTENTION_TILES_H

#include "ggml-cpu.h"

#define ggml_is_numa() true

#endif
