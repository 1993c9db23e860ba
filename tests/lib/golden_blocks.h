/* tests/golden/types/blocks.gguf for a group of cmocka tests: opened by its set-up, closed by its
 * tear-down, borrowed in between. One thread. */
#ifndef RF_TESTS_GOLDEN_BLOCKS_H
#define RF_TESTS_GOLDEN_BLOCKS_H

#include "gguf/gguf.h"

int golden_blocks_open(void **state);
int golden_blocks_close(void **state);
/* Tensor NAME followed by suffix, as "q4_0" and ".f32"; NULL if absent. */
const rf_gguf_tensor *golden_blocks_find(const char *name, const char *suffix);

#endif
