#include <stdio.h>

#include "base/cpu_features.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "gpu/driver.h"

static void show_row(const char *device, const char *name, const char *arch, uint32_t n_units,
                     const char *total, const char *available) {
    rf_out_printf("%-8s %-36.36s %-8s %6u %10s %10s\n", device, name, arch, n_units, total,
                  available);
}

/* "-" where it is not known: a device that another process holds alone tells nothing. */
static void show_gpu(rf_gpu *gpu, int device) {
    const rf_gpu_info *info = &gpu->info[device];
    char id[24], total[RF_SIZE_TEXT_BYTES], available[RF_SIZE_TEXT_BYTES];
    uint64_t free_bytes = 0, total_bytes = 0;
    rf_error err = {0};
    rf_status status = gpu->api.attach(gpu, device, &err);
    if (status == RF_OK)
        status = gpu->api.memory(gpu, device, &free_bytes, &total_bytes, &err);
    gpu->api.detach(gpu, device);
    (void)snprintf(id, sizeof id, "%s:%d", gpu->api.name, device);
    show_row(id, info->name, info->arch, info->n_units, rf_size_text(info->total_bytes, total),
             status == RF_OK ? rf_size_text(free_bytes, available) : "-");
    if (status != RF_OK)
        rf_note("%s: %s", id, err.text);
}

static void show_cpu(void) {
    show_row("cpu", "this machine's processors", rf_cpu_best_level(), (uint32_t)rf_cpu_count(), "-",
             "-");
}

rf_status rf_cmd_devices(rf_cli *cli, rf_error *err) {
    (void)cli;
    rf_out_printf("%-8s %-36s %-8s %6s %10s %10s\n", "device", "name", "arch", "units", "memory",
                  "free");
    show_cpu();
    for (int v = 0; v < RF_GPU_VENDOR_COUNT; v++) {
        rf_gpu *gpu = NULL;
        rf_error why = {0};
        rf_status status = rf_gpu_driver_open((rf_gpu_vendor)v, &gpu, &why);
        if (status == RF_ERR_NO_MEMORY)
            return rf_fail(err, status, "%s", why.text);
        if (status != RF_OK && status != RF_ERR_NOT_FOUND)
            rf_note("%s; rocmforge doctor says more", why.text);
        if (status != RF_OK)
            continue;
        for (int i = 0; i < gpu->n_devices; i++)
            show_gpu(gpu, i);
        gpu->api.destroy(gpu);
    }
    rf_note("models run on the cpu; --device gpu takes the first GPU");
    return rf_out_flush(err);
}
