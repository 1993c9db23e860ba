#include "gpu/amd_topology.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_NODES = 256, FILE_BYTES = 8192 };

/* NULL: it cannot be read. */
static char *read_properties(const char *folder, uint32_t i, char out[FILE_BYTES]) {
    char path[256];
    int n = snprintf(path, sizeof path, "%s/%u/properties", folder, i);
    int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return NULL;
    ssize_t got = read(fd, out, FILE_BYTES - 1);
    (void)close(fd);
    out[got > 0 ? got : 0] = 0;
    return out;
}

static uint64_t value_of(const char *text, const char *name) {
    size_t n = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtoull(line + n + 1, NULL, 10);
    }
    return 0;
}

/* 90402 is gfx942: two decimal digits each for minor version and stepping, which names spell in
 * hexadecimal. */
static void name_arch(uint64_t version, char out[RF_GPU_ARCH_BYTES]) {
    (void)snprintf(out, RF_GPU_ARCH_BYTES, "gfx%u%x%x", (unsigned)(version / 10000 % 100),
                   (unsigned)(version / 100 % 100), (unsigned)(version % 100));
}

static bool read_node(const char *text, rf_amd_node *out) {
    uint64_t version = value_of(text, "gfx_target_version");
    uint64_t location = value_of(text, "location_id"), simds = value_of(text, "simd_count");
    uint64_t per_unit = value_of(text, "simd_per_cu");
    *out = (rf_amd_node){0};
    if (version == 0 || simds == 0)
        return false; /* a processor */
    name_arch(version, out->arch);
    (void)snprintf(out->pci, sizeof out->pci, "%04x:%02x:%02x.%x",
                   (unsigned)(value_of(text, "domain") & 0xffff), (unsigned)(location >> 8 & 0xff),
                   (unsigned)(location >> 3 & 0x1f), (unsigned)(location & 7));
    out->n_units = (uint32_t)(simds / (per_unit > 0 ? per_unit : 1));
    out->wave = (uint32_t)value_of(text, "wave_front_size");
    out->integrated = value_of(text, "cpu_cores_count") > 0;
    return true;
}

bool rf_amd_topology_at(const char *folder, uint32_t i, rf_amd_node *out) {
    char text[FILE_BYTES];
    uint32_t n_found = 0;
    for (uint32_t node = 0; node < MAX_NODES && read_properties(folder, node, text); node++)
        if (read_node(text, out) && n_found++ == i)
            return true;
    return false;
}

bool rf_amd_topology_find(const char *folder, const char *pci, rf_amd_node *out) {
    for (uint32_t i = 0; rf_amd_topology_at(folder, i, out); i++)
        if (strcmp(out->pci, pci) == 0)
            return true;
    return false;
}
