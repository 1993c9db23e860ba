/*
 * What the commands that write GGUF files share: outputs that must not be inputs, keys with edits,
 * tensors as they are. The main thread.
 */
#ifndef RF_CLI_GGUF_COPY_H
#define RF_CLI_GGUF_COPY_H

#include "cli/options.h"
#include "gguf/writer.h"

/* RF_ERR_USAGE when both names lead to one file. */
RF_NODISCARD rf_status rf_check_apart(const char *in, const char *out, rf_error *err);
/* The same for every part of an open file. */
RF_NODISCARD rf_status rf_check_parts_apart(const rf_gguf *in, const char *out, rf_error *err);

/* Copies all keys but split.*, then applies --set. */
RF_NODISCARD rf_status rf_copy_keys(const rf_options *options, const rf_gguf *in,
                                    rf_gguf_writer *writer, rf_error *err);
/* One "KEY=VALUE" (the key is in `in` and keeps its type) or "KEY=TYPE:VALUE" (a new key). */
RF_NODISCARD rf_status rf_edit_key(const char *text, const rf_gguf *in, rf_gguf_writer *writer,
                                   rf_error *err);
/* Declares tensor; its data stays borrowed from the open file. */
void rf_copy_tensor(rf_gguf_writer *writer, const rf_gguf_tensor *tensor);

#endif
