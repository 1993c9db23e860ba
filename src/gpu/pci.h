/*
 * What Linux says of devices on the PCI bus, without any driver's library. Any thread. Folders are
 * arguments so that tests bring their own.
 */
#ifndef RF_GPU_PCI_H
#define RF_GPU_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define RF_PCI_DEVICES "/sys/bus/pci/devices"

enum { RF_PCI_NVIDIA = 0x10de, RF_PCI_AMD = 0x1002 };

typedef struct rf_pci_link {
    uint32_t lanes, lanes_most; /* 0: unknown */
    double gt_s, gt_s_most;     /* transfers a lane, 10^9 a second */
    char power[16];             /* "active", "suspended", … or "" */
} rf_pci_link;

/* Display and compute devices of a maker. */
uint32_t rf_pci_count_gpus(const char *folder, uint32_t vendor);
/* pci as in rf_gpu_info. False: nothing is known of it. */
bool rf_pci_read_link(const char *folder, const char *pci, rf_pci_link *out);

#endif
