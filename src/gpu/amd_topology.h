/*
 * What Linux's amdgpu driver (KFD) says of AMD's devices, with or without ROCm: one folder a node,
 * a file of "name value" lines in each (Documentation: drivers/gpu/drm/amd/amdkfd). Any thread.
 */
#ifndef RF_GPU_AMD_TOPOLOGY_H
#define RF_GPU_AMD_TOPOLOGY_H

#include "gpu/api.h"

#define RF_AMD_TOPOLOGY "/sys/class/kfd/kfd/topology/nodes"

typedef struct rf_amd_node {
    char arch[RF_GPU_ARCH_BYTES];
    char pci[RF_GPU_PCI_BYTES];
    uint32_t n_units, wave;
    bool integrated; /* it stands in a node with processor cores */
} rf_amd_node;

/* The i-th GPU below a folder; false: there are no more. */
bool rf_amd_topology_at(const char *folder, uint32_t i, rf_amd_node *out);
/* The one at a PCI address. */
bool rf_amd_topology_find(const char *folder, const char *pci, rf_amd_node *out);

#endif
