/* How embeddings are written: whole bodies alone. */
#ifndef RF_SERVER_FORM_EMBEDDINGS_H
#define RF_SERVER_FORM_EMBEDDINGS_H

#include "server/answer_form.h"

extern const rf_answer_form rf_form_embeddings;

#endif
