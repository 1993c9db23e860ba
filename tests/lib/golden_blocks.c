#include "tests/lib/golden_blocks.h"

#include <stdio.h>

static rf_gguf *blocks;

int golden_blocks_open(void **state) {
    (void)state;
    rf_error err = {0};
    if (rf_gguf_open("tests/golden/types/blocks.gguf", NULL, &blocks, &err) == RF_OK)
        return 0;
    (void)fprintf(stderr, "%s\n", err.text);
    return -1;
}

int golden_blocks_close(void **state) {
    (void)state;
    rf_gguf_close(blocks);
    return 0;
}

const rf_gguf_tensor *golden_blocks_find(const char *name, const char *suffix) {
    char whole[64];
    (void)snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return rf_gguf_find_tensor(blocks, rf_str_of(whole));
}
