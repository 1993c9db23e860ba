/* Kernels of one row: norm, act, finish, rope. */
#include <math.h>
#include <string.h>

#include "base/cpu_features.h"
#include "cpu/kernel_list.h"
#include "tests/kcheck/kcheck.h"

enum { MAX_COLS = 2100 };

/* Inputs of one comparison; got and want lie between guards. */
typedef struct rows {
    const rf_kernel_row *kernel;
    uint32_t n;
    float *in, *other, *weight, *bias, *got, *want;
} rows;

static uint32_t odd_length(kcheck *k, uint32_t i) {
    static const uint32_t fixed[] = {1, 2, 7, 8, 15, 16, 17, 31, 64, 576, 2048};
    return i < sizeof fixed / sizeof fixed[0] ? fixed[i] : 1 + kcheck_below(k, MAX_COLS);
}

static void rows_open(kcheck *k, rows *r, const rf_kernel_row *kernel, uint32_t n, kcheck_mix mix) {
    float **all[] = {&r->in, &r->other, &r->weight, &r->bias, &r->got, &r->want};
    r->kernel = kernel;
    r->n = n;
    for (int i = 0; i < 6; i++)
        *all[i] = kcheck_alloc(n * sizeof(float));
    kcheck_fill(k, mix, r->in, n);
    kcheck_fill(k, mix == KMIX_LARGE ? KMIX_NORMAL : mix, r->other, n);
    kcheck_fill(k, KMIX_NORMAL, r->weight, n);
    kcheck_fill(k, KMIX_UNIFORM, r->bias, n);
    kcheck_fill(k, KMIX_NORMAL, r->want, n);
    memcpy(r->got, r->want, n * sizeof(float));
}

static void rows_close(kcheck *k, rows *r) {
    float *all[] = {r->in, r->other, r->weight, r->bias, r->got, r->want};
    for (int i = 0; i < 6; i++)
        kcheck_free(k, all[i], r->kernel->name);
}

static float largest(const float *x, uint32_t n) {
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(x[i]));
    return most;
}

static void check_norm(kcheck *k, rows *r, kcheck_mix mix) {
    rf_norm_fn fn = (rf_norm_fn)r->kernel->fn;
    rf_norm_args args = {kcheck_below(k, 2) ? r->weight : NULL,
                         kcheck_below(k, 2) ? r->bias : NULL,
                         kcheck_below(k, 2) ? RF_NORM_RMS : RF_NORM_LAYER,
                         1e-5f,
                         r->n,
                         kcheck_below(k, 2) != 0};
    double square = 0, most = (double)largest(r->in, r->n);
    for (uint32_t i = 0; i < r->n; i++)
        square += (double)r->in[i] * (double)r->in[i];
    memcpy(r->other, r->got, r->n * sizeof(float));
    rf_norm_ref(&args, r->in, r->want);
    fn(&args, r->in, r->got);
    for (uint32_t i = 0; i < r->n; i++) {
        /* subtracting the mean cancels: its error is relative to the inputs, not to the result */
        double before = fabs((double)r->other[i]), y = fabs((double)r->want[i]) + before + 1;
        double weight = args.weight ? fabs((double)r->weight[i]) : 1;
        double cancelled = args.kind == RF_NORM_LAYER ? most * weight / sqrt(1e-5) : 0;
        if (mix != KMIX_CONSTANT && mix != KMIX_ZERO && r->n > 8)
            cancelled =
                args.kind == RF_NORM_LAYER ? 8 * most * weight / sqrt(square / r->n / 4 + 1e-5) : 0;
        kcheck_close(k, r->kernel->name, i, r->got[i], r->want[i],
                     (double)r->kernel->tolerance * (y + cancelled));
    }
}

static void check_act(kcheck *k, rows *r, kcheck_mix mix) {
    rf_act_fn fn = (rf_act_fn)r->kernel->fn;
    rf_activation act = (rf_activation)kcheck_below(k, 4);
    for (uint32_t i = 0; mix == KMIX_LARGE && i < r->n; i++)
        r->in[i] *= 0.01f; /* where exp over- and underflows */
    rf_act_ref(act, r->in, r->other, r->n, r->want);
    fn(act, r->in, r->other, r->n, r->got);
    for (uint32_t i = 0; i < r->n; i++) {
        double up = fabs((double)r->other[i]), product = up * fabs((double)r->in[i]);
        kcheck_close(k, r->kernel->name, i, r->got[i], r->want[i],
                     (double)r->kernel->tolerance * (fabs((double)r->want[i]) + 0.05 * product) +
                         1e-30 * up);
    }
}

static void check_finish(kcheck *k, rows *r, kcheck_mix mix) {
    (void)mix;
    rf_finish_fn fn = (rf_finish_fn)r->kernel->fn;
    bool twice = r->n > 3 && kcheck_below(k, 2);
    uint32_t n_cols = 1 + kcheck_below(k, twice ? r->n / 2 : r->n);
    uint32_t n_in = r->n / n_cols, n_rows = twice ? n_in / 2 : n_in;
    rf_finish_args args = {.bias = kcheck_below(k, 2) ? r->bias : NULL,
                           .scale = kcheck_below(k, 2) ? 1.0f : 0.3f,
                           .soft_cap = kcheck_below(k, 2) ? 30.0f : 0.0f,
                           .gate = kcheck_below(k, 2) ? 1.0f : 0.7f,
                           .add = kcheck_below(k, 2) != 0,
                           .twice = twice,
                           .n_rows = n_rows,
                           .n_cols = n_cols,
                           .out_stride = twice ? n_cols + kcheck_below(k, n_cols) : n_cols};
    memcpy(r->other, r->got, r->n * sizeof(float));
    rf_finish_ref(&args, r->in, r->want);
    fn(&args, r->in, r->got);
    double most = 2 * (double)largest(r->in, r->n) + (double)largest(r->bias, r->n);
    most = args.soft_cap > 0 && most > 30 ? 30 : most;
    for (uint32_t i = 0; i < r->n; i++)
        kcheck_close(k, r->kernel->name, i, r->got[i], r->want[i],
                     (double)r->kernel->tolerance * (most + fabs((double)r->other[i])));
}

static void check_rope(kcheck *k, rows *r, kcheck_mix mix) {
    (void)mix;
    rf_rope_fn fn = (rf_rope_fn)r->kernel->fn;
    uint32_t half = kcheck_below(k, r->n / 2 + 1);
    rf_rope_args args = {.norm = kcheck_below(k, 2) ? r->weight : NULL,
                         .eps = 1e-6f,
                         .kind = (rf_rope_kind)kcheck_below(k, 3),
                         .head_dim = r->n,
                         .n_dims = 2 * half,
                         .cos = r->other,
                         .sin = r->bias};
    for (uint32_t i = 0; i < half; i++) {
        r->other[i] = cosf((float)i);
        r->bias[i] = sinf((float)i);
    }
    rf_rope_ref(&args, r->in, r->want);
    bool in_place = kcheck_below(k, 2) != 0;
    memcpy(r->got, r->in, r->n * sizeof(float));
    fn(&args, in_place ? r->got : r->in, r->got);
    double bound = (double)r->kernel->tolerance * 2 * (double)largest(r->want, r->n);
    for (uint32_t i = 0; i < r->n; i++)
        kcheck_close(k, r->kernel->name, i, r->got[i], r->want[i], bound);
}

static const struct {
    size_t slot;
    void (*check)(kcheck *k, rows *r, kcheck_mix mix);
} slots[] = {
    {offsetof(rf_kernels, norm), check_norm},
    {offsetof(rf_kernels, act), check_act},
    {offsetof(rf_kernels, finish), check_finish},
    {offsetof(rf_kernels, rope), check_rope},
};

void kcheck_rows(kcheck *k) {
    for (size_t i = 0; i < rf_kernels_count(); i++) {
        const rf_kernel_row *kernel = rf_kernels_at(i);
        for (size_t s = 0; s < sizeof slots / sizeof slots[0]; s++) {
            if (kernel->slot != slots[s].slot || (kernel->needs & ~rf_cpu_features()) != 0)
                continue;
            for (uint32_t j = 0; j < 60; j++) {
                rows r;
                kcheck_mix mix = (kcheck_mix)(j % KMIX_COUNT);
                rows_open(k, &r, kernel, odd_length(k, j), mix);
                slots[s].check(k, &r, mix);
                rows_close(k, &r);
            }
        }
    }
}

static void bench_act(void *user) {
    rows *r = user;
    ((rf_act_fn)r->kernel->fn)(RF_ACT_SILU, r->in, r->other, r->n, r->got);
}

static void bench_norm(void *user) {
    rows *r = user;
    rf_norm_args args = {r->weight, NULL, RF_NORM_RMS, 1e-5f, r->n, false};
    ((rf_norm_fn)r->kernel->fn)(&args, r->in, r->got);
}

void kbench_rows(kcheck *k) {
    for (size_t i = 0; i < rf_kernels_count(); i++) {
        const rf_kernel_row *kernel = rf_kernels_at(i);
        bool act = kernel->slot == offsetof(rf_kernels, act);
        if ((!act && kernel->slot != offsetof(rf_kernels, norm)) ||
            (kernel->needs & ~rf_cpu_features()) != 0)
            continue;
        rows r;
        rows_open(k, &r, kernel, 2048, KMIX_NORMAL);
        kcheck_report(kernel->name, kcheck_time(act ? bench_act : bench_norm, &r), r.n,
                      "G values/s");
        rows_close(k, &r);
    }
}
