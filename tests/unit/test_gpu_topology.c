/* What Linux's files say of devices: folders as on real machines, written here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "gpu/amd_topology.h"
#include "gpu/pci.h"

static char folder[] = "/tmp/rf-topology-XXXXXX";

static void put(const char *node, const char *file, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, node);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, node, file);
    char *slash = strrchr(path, '/');
    *slash = 0;
    (void)mkdir(path, 0700);
    *slash = '/';
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void test_amd_nodes(void **state) {
    rf_amd_node node;
    (void)state;
    put("0", "properties", "cpu_cores_count 96\nsimd_count 0\nlocation_id 0\n");
    put("1", "properties",
        "cpu_cores_count 0\nsimd_count 1216\nmem_banks_count 1\nwave_front_size 64\n"
        "simd_per_cu 4\ngfx_target_version 90402\nlocation_id 25856\ndomain 0\n");
    put("2", "properties",
        "cpu_cores_count 16\nsimd_count 80\nwave_front_size 32\nsimd_per_cu 2\n"
        "gfx_target_version 110501\nlocation_id 50433\ndomain 1\n");
    put("3", "properties", "");
    assert_true(rf_amd_topology_at(folder, 0, &node));
    assert_string_equal(node.arch, "gfx942");
    assert_string_equal(node.pci, "0000:65:00.0");
    assert_int_equal(node.n_units, 304);
    assert_int_equal(node.wave, 64);
    assert_false(node.integrated);
    assert_true(rf_amd_topology_at(folder, 1, &node));
    assert_string_equal(node.arch, "gfx1151");
    assert_string_equal(node.pci, "0001:c5:00.1");
    assert_int_equal(node.n_units, 40);
    assert_true(node.integrated);
    assert_false(rf_amd_topology_at(folder, 2, &node));
    assert_true(rf_amd_topology_find(folder, "0001:c5:00.1", &node));
    assert_false(rf_amd_topology_find(folder, "0000:66:00.0", &node));
    assert_false(rf_amd_topology_at("/nowhere", 0, &node));
}

static void test_pci(void **state) {
    rf_pci_link link;
    (void)state;
    put("0000:65:00.0", "vendor", "0x10de\n");
    put("0000:65:00.0", "class", "0x030200\n");
    put("0000:65:00.0", "current_link_width", "8\n");
    put("0000:65:00.0", "max_link_width", "16\n");
    put("0000:65:00.0", "current_link_speed", "16.0 GT/s PCIe\n");
    put("0000:65:00.0", "max_link_speed", "32.0 GT/s PCIe\n");
    put("0000:65:00.0", "power/runtime_status", "suspended\n");
    put("0000:66:00.0", "vendor", "0x10de\n"); /* its sound */
    put("0000:66:00.0", "class", "0x040300\n");
    put("0000:67:00.0", "vendor", "0x1002\n");
    put("0000:67:00.0", "class", "0x120000\n");
    assert_int_equal(rf_pci_count_gpus(folder, RF_PCI_NVIDIA), 1);
    assert_int_equal(rf_pci_count_gpus(folder, RF_PCI_AMD), 1);
    assert_int_equal(rf_pci_count_gpus("/nowhere", RF_PCI_AMD), 0);
    assert_true(rf_pci_read_link(folder, "0000:65:00.0", &link));
    assert_int_equal(link.lanes, 8);
    assert_int_equal(link.lanes_most, 16);
    assert_true(link.gt_s > 15.9 && link.gt_s_most > 31.9);
    assert_string_equal(link.power, "suspended");
    assert_false(rf_pci_read_link(folder, "0000:99:00.0", &link));
}

static int make(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop(void **state) {
    char line[128];
    (void)state;
    (void)snprintf(line, sizeof line, "rm -r %s", folder);
    return system(line);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_amd_nodes),
                                       cmocka_unit_test(test_pci)};
    return cmocka_run_group_tests(tests, make, drop);
}
