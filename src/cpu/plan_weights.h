/* Weights in the plan: see cpu/cpu_plan.h. */
#ifndef RF_CPU_PLAN_WEIGHTS_H
#define RF_CPU_PLAN_WEIGHTS_H

#include "cpu/cpu_plan.h"

/* Fills plan->weights [n_weights] (zeroed) and the memory of weights. */
RF_NODISCARD rf_status rf_cpu_plan_weights(const rf_cpu_options *options, const rf_program *program,
                                           rf_cpu_plan *plan, rf_error *err);

#endif
