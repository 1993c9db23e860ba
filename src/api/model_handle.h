/*
 * What stands behind a rocmforge_model: file, tokenizer, template. Immutable after opening, but for
 * the table's counts: any thread.
 */
#ifndef RF_API_MODEL_HANDLE_H
#define RF_API_MODEL_HANDLE_H

#include <locale.h>

#include "api/handles.h"
#include "chat/template.h"
#include "model/model.h"
#include "tokenizer/tokenizer.h"

typedef struct rf_api_model {
    rf_object object;
    rf_gguf *gguf;
    rf_tokenizer *tokenizer;
    rf_template *tmpl; /* NULL: the model has none */
    rf_model *model;   /* for the trained context; engines bind their own */
    char *name;        /* owned */
    bool allow_slow_types;
    locale_t numbers; /* in which numbers are written as in C */
} rf_api_model;

RF_NODISCARD rocmforge_status rf_api_model_take(const rocmforge_model *handle, rf_api_model **out);

/* While numbers are read or written the thread has the locale "C"; leave takes what enter gave. */
locale_t rf_api_numbers_enter(const rf_api_model *model);
void rf_api_numbers_leave(locale_t before);

/* Appends the tokens of a prompt. */
RF_NODISCARD rocmforge_status rf_api_prompt_tokens(const rf_api_model *model,
                                                   const rocmforge_prompt *given, rf_tokens *out);

#endif
