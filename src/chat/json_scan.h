/*
 * Checks JSON (RFC 8259) byte by byte, as it comes from a model, and says where the value ends.
 * No memory besides the struct, no recursion. One thread a scan.
 */
#ifndef RF_CHAT_JSON_SCAN_H
#define RF_CHAT_JSON_SCAN_H

#include <stdbool.h>
#include <stdint.h>

enum { RF_JSON_SCAN_DEPTH = 256 };

typedef enum rf_json_scan_state {
    RF_JSON_BEFORE_VALUE,
    RF_JSON_FIRST_VALUE, /* or ] */
    RF_JSON_FIRST_KEY,   /* or } */
    RF_JSON_BEFORE_KEY,
    RF_JSON_BEFORE_COLON,
    RF_JSON_IN_KEY,
    RF_JSON_IN_TEXT,
    RF_JSON_IN_NUMBER,
    RF_JSON_IN_WORD,
    RF_JSON_AFTER_VALUE, /* , or the end of what it is in */
    RF_JSON_DONE,
    RF_JSON_BAD
} rf_json_scan_state;

/* Zero-initialise. */
typedef struct rf_json_scan {
    rf_json_scan_state state;
    uint32_t depth;                            /* objects and lists that are open */
    uint64_t objects[RF_JSON_SCAN_DEPTH / 64]; /* bit d: the one at depth d + 1 is an object */
    uint8_t escape; /* of a text: 1 after \, 5 … 2: digits of \u left */
    uint8_t number; /* state of number_next */
    uint8_t n_word;
    const char *word;
} rf_json_scan;

/* Takes a byte. The byte that ends the outermost value gives RF_JSON_DONE; a number there ends with
 * the first byte after it, which is then RF_JSON_BAD: rf_json_scan_may_end is asked before. */
rf_json_scan_state rf_json_scan_push(rf_json_scan *scan, char c);
/* The value would be whole if nothing followed. */
bool rf_json_scan_may_end(const rf_json_scan *scan);

#endif
