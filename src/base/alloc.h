/*
 * The only door to the heap. Every allocation counts, so that tests can make the n-th one fail and
 * read the peak. Any thread. A failed call returns NULL and leaves its argument as it was.
 */
#ifndef RF_BASE_ALLOC_H
#define RF_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *rf_alloc(size_t bytes);
void *rf_calloc(size_t count, size_t bytes); /* zeroed; count * bytes is checked */
void *rf_realloc(void *ptr, size_t bytes);
/* Grows or shrinks an array of count elements; count * bytes is checked. */
void *rf_realloc_array(void *ptr, size_t count, size_t bytes);
void rf_free(void *ptr);

/* align: a power of two, at least 16. Freed with rf_free_aligned alone. */
void *rf_alloc_aligned(size_t align, size_t bytes);
void rf_free_aligned(void *ptr);

char *rf_strndup(const char *text, size_t len); /* NUL-terminated copy; caller frees with rf_free */

/* Makes the n-th allocation from now on fail (1 = the next), and every later one too if `on`.
 * 0 switches this off. For tests. */
void rf_alloc_fail_at(uint64_t n, int on);
/* While forbidden (a step, on its own thread) allocations still succeed, but are counted: no code
 * path of a step may make one. Tests ask for the count. */
void rf_alloc_forbid(int forbid);
uint64_t rf_alloc_n_forbidden(void);
uint64_t rf_alloc_count(void); /* allocations since the process started */
size_t rf_alloc_live_bytes(void);
size_t rf_alloc_peak_bytes(void); /* most bytes live at once since the last reset */
void rf_alloc_peak_reset(void);

/* For a process that runs for weeks, before it starts threads: what is given back goes back to the
 * system soon, and threads share one heap, so that what stays is what is in use. */
void rf_alloc_return_early(void);
/* What is free and was kept for the next call goes back to the system: some milliseconds. */
void rf_alloc_return_unused(void);

#endif
