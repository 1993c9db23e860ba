/*
 * Which type each tensor of a file gets when the file is quantised to a mix. The choices are
 * llama.cpp's. Pure functions of a file's keys and tensor names; any thread.
 */
#ifndef RF_MODEL_MIX_H
#define RF_MODEL_MIX_H

#include "base/status.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

typedef enum rf_mix {
#define X(id, name, other, type, file_type) RF_MIX_##id,
#include "model/mixes.def"
#undef X
    RF_MIX_COUNT
} rf_mix;

bool rf_mix_from_name(rf_str name, rf_mix *out); /* any case */
/* The same; another name is RF_ERR_USAGE with those that exist. */
RF_NODISCARD rf_status rf_mix_parse(rf_str name, rf_mix *out, rf_error *err);
const char *rf_mix_name(rf_mix mix);
uint32_t rf_mix_file_type(rf_mix mix); /* value of general.file_type */

typedef struct rf_mix_options {
    rf_mix mix;
    bool pure;        /* every matrix gets the mix's main type */
    bool has_imatrix; /* an importance matrix is given: some choices differ */
} rf_mix_options;

typedef struct rf_mix_choice {
    bool keep;     /* the tensor stays as it is: norms, biases, routers, integers */
    rf_qtype type; /* unless keep */
    rf_qtype want; /* what the mix asks for; differs from type where rows do not divide */
} rf_mix_choice;

/* choices[rf_gguf_n_tensors]: filled. Fails on keys that contradict the tensors. */
RF_NODISCARD rf_status rf_mix_choose(const rf_gguf *gguf, const rf_mix_options *options,
                                     rf_mix_choice *choices, rf_error *err);

#endif
