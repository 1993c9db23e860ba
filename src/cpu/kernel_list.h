/* Declares every function of cpu/kernels.def. Pure functions; any thread. */
#ifndef RF_CPU_KERNEL_LIST_H
#define RF_CPU_KERNEL_LIST_H

#include "cpu/kernels.h"

#define RF_DECLARE_norm(isa) \
    void rf_norm_##isa(const rf_norm_args *args, const float *in, float *out)
#define RF_DECLARE_act(isa) \
    void rf_act_##isa(rf_activation act, const float *gate, const float *up, uint32_t n, float *out)
#define RF_DECLARE_finish(isa) \
    void rf_finish_##isa(const rf_finish_args *args, const float *in, float *out)
#define RF_DECLARE_rope(isa) \
    void rf_rope_##isa(const rf_rope_args *args, const float *in, float *out)
#define RF_DECLARE_kv_store(isa)                                                       \
    void rf_kv_store_##isa(const rf_kv_layout *layout, const float *k, const float *v, \
                           uint32_t slot, uint8_t *head)
#define RF_DECLARE_attention(isa) void rf_attention_##isa(const rf_attention_tile *tile)

#define X(slot, isa, needs, tolerance) RF_DECLARE_##slot(isa);
#include "cpu/kernels.def"
#undef X

#endif
