/* Memory that the process may still take. Any thread. */
#ifndef RF_BASE_FREE_MEMORY_H
#define RF_BASE_FREE_MEMORY_H

#include <stdint.h>

/* Bytes that the machine, and a container's limit, leave for new allocations without swapping:
 * what Linux calls available; UINT64_MAX where it does not say. */
uint64_t rf_free_memory(void);

#endif
