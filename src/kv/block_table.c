#include "kv/block_table.h"

#include "base/alloc.h"

rf_status rf_block_table_init(rf_block_table *table, uint32_t max_blocks, rf_error *err) {
    *table = (rf_block_table){.max_blocks = max_blocks};
    table->blocks = rf_calloc(max_blocks, sizeof *table->blocks);
    if (!table->blocks)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a table of %u cache blocks",
                       max_blocks);
    return RF_OK;
}

void rf_block_table_deinit(rf_block_table *table) {
    rf_free(table->blocks);
    *table = (rf_block_table){0};
}

bool rf_block_table_grow(rf_block_table *table, rf_block_pool *pool, uint32_t n_blocks) {
    if (n_blocks <= table->n_blocks)
        return true;
    if (n_blocks > table->max_blocks || n_blocks - table->n_blocks > rf_block_pool_n_free(pool))
        return false;
    while (table->n_blocks < n_blocks && rf_block_pool_alloc(pool, &table->blocks[table->n_blocks]))
        table->n_blocks++;
    return true;
}

void rf_block_table_shrink(rf_block_table *table, rf_block_pool *pool, uint32_t n_blocks) {
    while (table->n_blocks > n_blocks) {
        int32_t block = table->blocks[--table->n_blocks];
        if (table->n_blocks >= table->n_passed)
            (void)rf_block_pool_unref(pool, block);
    }
    if (table->n_passed > table->n_blocks)
        table->n_passed = table->n_blocks;
}

uint32_t rf_block_table_pass(rf_block_table *table, rf_block_pool *pool, uint32_t n_passed) {
    uint32_t n = 0;
    if (n_passed > table->n_blocks)
        n_passed = table->n_blocks;
    for (; table->n_passed < n_passed; n++) {
        int32_t *entry = &table->blocks[table->n_passed++];
        (void)rf_block_pool_unref(pool, *entry);
        *entry = -1;
    }
    return n;
}
