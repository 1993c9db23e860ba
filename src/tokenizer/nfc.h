/* Canonical composition (NFC) in linear time, over utf8proc's tables. Any thread. */
#ifndef RF_TOKENIZER_NFC_H
#define RF_TOKENIZER_NFC_H

#include "base/buf.h"

/* True when text needs no normalisation because all its characters lie below U+0300. */
bool rf_nfc_is_trivial(rf_str text);
/* Appends NFC(text), text being valid UTF-8. A failure is left in out->failed. */
void rf_nfc_append(rf_str text, rf_buf *out);

#endif
