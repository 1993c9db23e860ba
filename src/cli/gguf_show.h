/* Metadata and tensors of a GGUF file as text and as JSON, for inspect. One thread. */
#ifndef RF_CLI_GGUF_SHOW_H
#define RF_CLI_GGUF_SHOW_H

#include <jansson.h>

#include "base/buf.h"
#include "gguf/gguf.h"

/* Items of an array that are shown; the rest is counted. */
enum { RF_SHOWN_ITEMS = 8 };

void rf_gguf_show_keys(const rf_gguf *gguf);
void rf_gguf_show_tensors(const rf_gguf *gguf);
void rf_gguf_show_types(const rf_gguf *gguf); /* tensors and bytes of each type */
json_t *rf_gguf_keys_json(const rf_gguf *gguf, bool *ok);
json_t *rf_gguf_tensors_json(const rf_gguf *gguf, bool *ok);

/* "q4_K" and the like, or "type 99". */
const char *rf_tensor_type_name(uint32_t type_id, char out[16]);
/* "576 x 49152": ne[0] first, n_dims of them. */
void rf_tensor_shape_text(const rf_gguf_tensor *tensor, rf_buf *out);

#endif
