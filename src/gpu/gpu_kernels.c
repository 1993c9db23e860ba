#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "gpu/gpu_state.h"

static rf_status find(rf_gpu_backend *b, const char *file, const char *name, rf_gpu_function *out,
                      rf_error *err) {
    int i = 0;
    while (i + 1 < RF_GPU_MODULES && strcmp(b->codes[i]->file, file) != 0)
        i++;
    return b->gpu->api.function_find(b->gpu, b->device, b->modules[i], name, out, err);
}

static rf_status find_typed(rf_gpu_backend *b, rf_error *err) {
    static const struct {
        const char *file, *prefix, *suffix;
        bool floats, f32;
    } rows[] = {
#define X(id, file, name)
#define Y(id, file, prefix, suffix, floats, f32) {file, prefix, suffix, floats, f32},
#include "gpu/kernel_list.def"
#undef X
#undef Y
    };
    static const char *const names[RF_QTYPE_COUNT] = {
#define X(id, name, gguf_id, weights, bytes, native) [RF_QTYPE_##id] = #name,
#include "quant/types.def"
#undef X
    };
    for (int t = 0; t < RF_GPU_T_COUNT; t++) {
        bool needs_matrix = t == RF_GPU_T_MATMUL_32 || t == RF_GPU_T_MATMUL_128;
        for (int q = 0; q < RF_QTYPE_COUNT; q++) {
            uint32_t at[4], bytes[4];
            char name[64];
            bool wanted = q == RF_QTYPE_F32 ? rows[t].f32
                          : q == RF_QTYPE_F16 || q == RF_QTYPE_BF16
                              ? rows[t].floats
                              : rf_gpu_type_fields((rf_qtype)q, at, bytes);
            rf_error missing = {0};
            if (!wanted || (needs_matrix && !b->has_matrix))
                continue;
            (void)snprintf(name, sizeof name, "%s%s%s", rows[t].prefix, names[q], rows[t].suffix);
            if (find(b, rows[t].file, name, &b->typed[t][q], &missing) == RF_OK)
                continue;
            if (!needs_matrix)
                return rf_fail(err, RF_ERR_UNSUPPORTED, "%s", missing.text);
            b->has_matrix = false; /* chips without matrix instructions have none of these */
        }
    }
    return RF_OK;
}

rf_status rf_gpu_load_kernels(rf_gpu_backend *b, rf_error *err) {
    static const struct {
        const char *file, *name;
    } rows[] = {
#define X(id, file, name) {file, name},
#define Y(id, file, prefix, suffix, floats, f32)
#include "gpu/kernel_list.def"
#undef X
#undef Y
    };
    RF_TRY(rf_gpu_code_find(b->gpu->info[b->device].arch, b->codes, err));
    for (int i = 0; i < RF_GPU_MODULES; i++) {
        uint8_t *image;
        RF_TRY(rf_gpu_code_unpack(b->codes[i], &image, err));
        rf_status status = b->gpu->api.module_load(b->gpu, b->device, image, &b->modules[i], err);
        rf_free(image);
        RF_TRY(status);
    }
    for (int k = 0; k < RF_GPU_K_COUNT; k++)
        RF_TRY(find(b, rows[k].file, rows[k].name, &b->kernels[k], err));
    b->has_matrix = true;
    return find_typed(b, err);
}
