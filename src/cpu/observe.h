/* Shows an observer what the matrices of an op are about to be multiplied with. */
#ifndef RF_CPU_OBSERVE_H
#define RF_CPU_OBSERVE_H

#include "cpu/cpu_state.h"

/* Every worker calls it before the op; begins and ends with a barrier. */
void rf_cpu_observe(const rf_cpu_run *run, const rf_op *op);

#endif
