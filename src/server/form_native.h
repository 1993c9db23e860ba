/* llama-server's completion: what its answers and /props say of the samplers. Any thread. */
#ifndef RF_SERVER_FORM_NATIVE_H
#define RF_SERVER_FORM_NATIVE_H

#include "sample/sample_params.h"
#include "server/answer_form.h"

extern const rf_answer_form rf_form_native;

/* "seed":…,"temperature":…, all of them by their names in requests. */
void rf_native_samplers_write(const rf_sample_params *params, rf_buf *out);

#endif
