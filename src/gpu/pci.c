#include "gpu/pci.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_BYTES = 64, CLASS_DISPLAY = 0x03, CLASS_ACCELERATOR = 0x12 };

static bool read_text(const char *folder, const char *pci, const char *file, char out[TEXT_BYTES]) {
    char path[512];
    int n = snprintf(path, sizeof path, "%s/%s/%s", folder, pci, file);
    int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    out[0] = 0;
    if (fd < 0)
        return false;
    ssize_t got = read(fd, out, TEXT_BYTES - 1);
    (void)close(fd);
    out[got > 0 ? got : 0] = 0;
    out[strcspn(out, "\n")] = 0;
    return got > 0;
}

static bool is_gpu(const char *folder, const char *pci, uint32_t vendor) {
    char text[TEXT_BYTES];
    if (pci[0] == '.' || !read_text(folder, pci, "vendor", text) ||
        strtoul(text, NULL, 16) != vendor || !read_text(folder, pci, "class", text))
        return false;
    unsigned long class = strtoul(text, NULL, 16) >> 16;
    return class == CLASS_DISPLAY || class == CLASS_ACCELERATOR;
}

uint32_t rf_pci_count_gpus(const char *folder, uint32_t vendor) {
    uint32_t n = 0;
    DIR *open_folder = opendir(folder);
    if (!open_folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(open_folder));)
        n += is_gpu(folder, entry->d_name, vendor);
    (void)closedir(open_folder);
    return n;
}

static double number(const char *folder, const char *pci, const char *file) {
    char text[TEXT_BYTES];
    return read_text(folder, pci, file, text) ? strtod(text, NULL) : 0;
}

bool rf_pci_read_link(const char *folder, const char *pci, rf_pci_link *out) {
    char power[TEXT_BYTES];
    *out = (rf_pci_link){.lanes = (uint32_t)number(folder, pci, "current_link_width"),
                         .lanes_most = (uint32_t)number(folder, pci, "max_link_width"),
                         .gt_s = number(folder, pci, "current_link_speed"),
                         .gt_s_most = number(folder, pci, "max_link_speed")};
    bool powered = read_text(folder, pci, "power/runtime_status", power);
    (void)snprintf(out->power, sizeof out->power, "%.15s", powered ? power : "");
    return out->lanes > 0 || powered;
}
