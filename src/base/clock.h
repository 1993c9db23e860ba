/* Monotonic clock. Any thread. */
#ifndef RF_BASE_CLOCK_H
#define RF_BASE_CLOCK_H

#include <stdint.h>

uint64_t rf_clock_ns(void); /* nanoseconds since an arbitrary start; never goes back */

#endif
