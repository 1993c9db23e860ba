#include "cpu/kernels.h"

#include <string.h>

#include "base/cpu_features.h"
#include "cpu/kernel_list.h"

static const rf_kernel_row rows[] = {
#define X(slot, isa, needs, tolerance)                                         \
    {#slot "_" #isa, offsetof(rf_kernels, slot), (uint32_t)(needs), tolerance, \
     (void (*)(void))rf_##slot##_##isa},
#include "cpu/kernels.def"
#undef X
};

size_t rf_kernels_count(void) { return sizeof rows / sizeof rows[0]; }

const rf_kernel_row *rf_kernels_at(size_t i) { return &rows[i]; }

void rf_kernels_choose(uint32_t features, rf_kernels *out) {
    /* From the last row to the first, so that the best one stays. */
    for (size_t i = rf_kernels_count(); i-- > 0;)
        if ((rows[i].needs & ~features) == 0)
            memcpy((char *)out + rows[i].slot, &rows[i].fn, sizeof rows[i].fn);
}

size_t rf_attention_scratch(const rf_kv_layout *layout) {
    size_t dims = layout->head_dim, padded = rf_kv_padded(layout->head_dim_v);
    return RF_ATTENTION_QUERIES * dims + (size_t)RF_ATTENTION_SPAN * (dims + padded) +
           (size_t)RF_ATTENTION_ROWS * RF_ATTENTION_STRIDE;
}
