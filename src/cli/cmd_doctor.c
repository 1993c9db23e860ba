#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu_features.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "gpu/amd_topology.h"
#include "gpu/copy_speed.h"
#include "gpu/driver.h"
#include "gpu/pci.h"

typedef enum mark { OK, NONE, LOOK, WRONG, MARK_COUNT } mark;

static void say(uint32_t *n_wrong, mark what, const char *fmt, ...) RF_PRINTF(3, 4);
static void say(uint32_t *n_wrong, mark what, const char *fmt, ...) {
    static const char *const words[MARK_COUNT] = {"ok", "none", "look", "WRONG"};
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rf_out_printf("%-6s %s\n", words[what], text);
    *n_wrong += what == WRONG;
}

static void check_cpu(uint32_t *n_wrong) {
    const char *level = rf_cpu_best_level();
    bool slow = strcmp(level, "none") == 0;
    say(n_wrong, slow ? LOOK : OK, "cpu: %d processors, %s", rf_cpu_count(),
        slow ? "neither AVX2 nor AVX-512: plain C runs, slowly" : level);
}

static void check_link(uint32_t *n_wrong, const char *id, const char *pci) {
    rf_pci_link link;
    if (!rf_pci_read_link(RF_PCI_DEVICES, pci, &link))
        return;
    if (link.power[0] && strcmp(link.power, "active") != 0)
        say(n_wrong, LOOK, "%s: its power state is %s: it wakes when it is used", id, link.power);
    if (link.lanes == 0)
        return;
    if (link.lanes < link.lanes_most)
        say(n_wrong, LOOK, "%s: PCIe on %u of %u lanes: loading is slow; is it in the right slot?",
            id, link.lanes, link.lanes_most);
    else
        say(n_wrong, OK, "%s: PCIe on %u lanes, %g of %g GT/s each (less while it rests)", id,
            link.lanes, link.gt_s, link.gt_s_most);
}

static rf_status try_copies(rf_gpu *gpu, int device, rf_copy_speed *speed, uint64_t *free_bytes,
                            rf_error *err) {
    uint64_t total = 0;
    RF_TRY(gpu->api.attach(gpu, device, err));
    RF_TRY(gpu->api.memory(gpu, device, free_bytes, &total, err));
    return rf_gpu_copy_speed(gpu, device, speed, err);
}

static void check_device(uint32_t *n_wrong, rf_gpu *gpu, int device) {
    const rf_gpu_info *info = &gpu->info[device];
    char id[24], total[RF_SIZE_TEXT_BYTES], available[RF_SIZE_TEXT_BYTES];
    (void)snprintf(id, sizeof id, "%s:%d", gpu->api.name, device);
    rf_copy_speed speed;
    uint64_t free_bytes = 0;
    rf_error err = {0};
    rf_status status = try_copies(gpu, device, &speed, &free_bytes, &err);
    gpu->api.detach(gpu, device);
    if (status != RF_OK) {
        say(n_wrong, WRONG, "%s: %s: %s", id, info->name, err.text);
        return;
    }
    say(n_wrong, OK, "%s: %s, %s, %u units, wave of %u, %s of %s free%s, at %s", id, info->name,
        info->arch, info->n_units, info->wave, rf_size_text(free_bytes, available),
        rf_size_text(info->total_bytes, total), info->integrated ? " (the host's)" : "", info->pci);
    say(n_wrong, OK,
        "%s: copies of %zu MiB came back whole: in %.1f GB/s, out %.1f, inside %.0f (read and "
        "written)",
        id, speed.bytes >> 20, speed.in / 1e9, speed.out / 1e9, speed.inside / 1e9);
    check_link(n_wrong, id, info->pci);
}

/* The library answers; what is behind it? */
static void check_driver(uint32_t *n_wrong, rf_gpu_vendor vendor, rf_gpu *gpu,
                         uint32_t n_built_in) {
    const char *name = rf_gpu_vendor_name(vendor);
    if (gpu->n_devices == 0) {
        if (n_built_in == 0)
            say(n_wrong, NONE, "%s: %s is there, a device is not", name, gpu->api.file);
        else
            say(n_wrong, WRONG,
                "%s: %s sees none of %u devices: is one hidden (CUDA_VISIBLE_DEVICES, "
                "HIP_VISIBLE_DEVICES, groups render and video)?",
                name, gpu->api.file, n_built_in);
        return;
    }
    say(n_wrong, OK, "%s: %s, interface %d, %d device%s", name, gpu->api.file, gpu->version,
        gpu->n_devices, gpu->n_devices == 1 ? "" : "s");
    for (int i = 0; i < gpu->n_devices; i++)
        check_device(n_wrong, gpu, i);
}

static void check_vendor(uint32_t *n_wrong, rf_gpu_vendor vendor) {
    static const uint32_t ids[RF_GPU_VENDOR_COUNT] = {RF_PCI_NVIDIA, RF_PCI_AMD};
    static const char *const install[RF_GPU_VENDOR_COUNT] = {
        "install it: apt install nvidia-driver (Debian's non-free), then reboot",
        "install ROCm's runtime: https://rocm.docs.amd.com"};
    uint32_t n_built_in = rf_pci_count_gpus(RF_PCI_DEVICES, ids[vendor]);
    rf_gpu *gpu = NULL;
    rf_error err = {0};
    rf_status status = rf_gpu_driver_open(vendor, &gpu, &err);
    if (status == RF_OK) {
        check_driver(n_wrong, vendor, gpu, n_built_in);
        gpu->api.destroy(gpu);
    } else if (status == RF_ERR_NOT_FOUND && n_built_in == 0) {
        say(n_wrong, NONE, "%s: no device, no driver", rf_gpu_vendor_name(vendor));
    } else if (status == RF_ERR_NOT_FOUND) {
        say(n_wrong, WRONG, "%s: %u devices and no library: %s; %s", rf_gpu_vendor_name(vendor),
            n_built_in, err.text, install[vendor]);
    } else {
        say(n_wrong, WRONG, "%s: %s", rf_gpu_vendor_name(vendor), err.text);
    }
}

/* Who may open them: AMD's through groups, NVIDIA's mostly everyone. */
static void check_node(uint32_t *n_wrong, const char *path, const char *help) {
    if (access(path, F_OK) != 0)
        return;
    if (access(path, R_OK | W_OK) == 0)
        say(n_wrong, OK, "%s: may be opened", path);
    else
        say(n_wrong, WRONG, "%s: %s; %s", path, strerror(errno), help);
}

rf_status rf_cmd_doctor(rf_cli *cli, rf_error *err) {
    uint32_t n_wrong = 0;
    (void)cli;
    check_cpu(&n_wrong);
    check_node(&n_wrong, "/dev/nvidiactl", "load the driver: nvidia-modprobe");
    check_vendor(&n_wrong, RF_GPU_NVIDIA);
    check_node(&n_wrong, "/dev/kfd",
               "add this user to the groups: usermod -aG render,video USER, then log in again");
    rf_amd_node node;
    for (uint32_t i = 0; rf_amd_topology_at(RF_AMD_TOPOLOGY, i, &node); i++)
        say(&n_wrong, OK, "AMD: the kernel knows %s at %s: %u units, wave of %u", node.arch,
            node.pci, node.n_units, node.wave);
    check_vendor(&n_wrong, RF_GPU_AMD);
    RF_TRY(rf_out_flush(err));
    return n_wrong == 0 ? RF_OK
                        : rf_fail(err, RF_ERR_IO, "%u thing%s wrong", n_wrong,
                                  n_wrong == 1 ? " is" : "s are");
}
