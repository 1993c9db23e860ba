#include "chat/json_scan.h"

#include <string.h>

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool in_object(const rf_json_scan *scan) {
    uint32_t d = scan->depth - 1;
    return scan->depth > 0 && (scan->objects[d / 64] >> d % 64 & 1u) != 0;
}

static rf_json_scan_state after_value(const rf_json_scan *scan) {
    return scan->depth == 0 ? RF_JSON_DONE : RF_JSON_AFTER_VALUE;
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* -, 0, 1-9, after the point, its digits, after e, its sign, its digits. */
enum { MINUS = 1, ZERO, DIGITS, POINT, FRACTION, EXPONENT, SIGN, POWER };

static uint8_t number_next(uint8_t state, char c) {
    bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';
    switch (state) {
    case 0: return c == '-' ? MINUS : c == '0' ? ZERO : digit ? DIGITS : 0;
    case MINUS: return c == '0' ? ZERO : digit ? DIGITS : 0;
    case ZERO: return c == '.' ? POINT : e ? EXPONENT : 0;
    case DIGITS: return digit ? DIGITS : c == '.' ? POINT : e ? EXPONENT : 0;
    case POINT: return digit ? FRACTION : 0;
    case FRACTION: return digit ? FRACTION : e ? EXPONENT : 0;
    case EXPONENT: return c == '+' || c == '-' ? SIGN : digit ? POWER : 0;
    default: return digit ? POWER : 0;
    }
}

static bool number_may_end(uint8_t state) {
    return state == ZERO || state == DIGITS || state == FRACTION || state == POWER;
}

/* ---- values -------------------------------------------------------------------------------- */

static rf_json_scan_state open(rf_json_scan *scan, bool object) {
    if (scan->depth == RF_JSON_SCAN_DEPTH)
        return RF_JSON_BAD;
    uint32_t d = scan->depth++;
    scan->objects[d / 64] &= ~(1ull << d % 64);
    scan->objects[d / 64] |= (uint64_t)object << d % 64;
    return object ? RF_JSON_FIRST_KEY : RF_JSON_FIRST_VALUE;
}

static rf_json_scan_state close(rf_json_scan *scan, bool object) {
    if (scan->depth == 0 || in_object(scan) != object)
        return RF_JSON_BAD;
    scan->depth--;
    return after_value(scan);
}

static rf_json_scan_state begin_value(rf_json_scan *scan, char c) {
    static const char *const words[] = {"true", "false", "null"};
    if (c == '{' || c == '[')
        return open(scan, c == '{');
    if (c == '"')
        return RF_JSON_IN_TEXT;
    scan->number = number_next(0, c);
    if (scan->number)
        return RF_JSON_IN_NUMBER;
    for (int i = 0; i < 3; i++) {
        if (words[i][0] == c) {
            scan->word = words[i];
            scan->n_word = 1;
            return RF_JSON_IN_WORD;
        }
    }
    return RF_JSON_BAD;
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static rf_json_scan_state in_text(rf_json_scan *scan, char c) {
    if ((unsigned char)c < 0x20)
        return RF_JSON_BAD;
    if (scan->escape > 1) {
        scan->escape = scan->escape == 2 ? 0 : (uint8_t)(scan->escape - 1);
        return is_hex(c) ? scan->state : RF_JSON_BAD;
    }
    if (scan->escape == 1) {
        scan->escape = c == 'u' ? 5 : 0;
        return c != 0 && strchr("\"\\/bfnrtu", c) ? scan->state : RF_JSON_BAD;
    }
    scan->escape = c == '\\';
    if (c != '"')
        return scan->state;
    return scan->state == RF_JSON_IN_KEY ? RF_JSON_BEFORE_COLON : after_value(scan);
}

static rf_json_scan_state in_word(rf_json_scan *scan, char c) {
    if (c != scan->word[scan->n_word++])
        return RF_JSON_BAD;
    return scan->word[scan->n_word] == 0 ? after_value(scan) : RF_JSON_IN_WORD;
}

static rf_json_scan_state between(rf_json_scan *scan, char c) {
    if (c == ',' && scan->depth > 0)
        return in_object(scan) ? RF_JSON_BEFORE_KEY : RF_JSON_BEFORE_VALUE;
    return c == '}' || c == ']' ? close(scan, c == '}') : RF_JSON_BAD;
}

static rf_json_scan_state next(rf_json_scan *scan, char c) {
    switch (scan->state) {
    case RF_JSON_IN_KEY:
    case RF_JSON_IN_TEXT: return in_text(scan, c);
    case RF_JSON_IN_WORD: return in_word(scan, c);
    case RF_JSON_IN_NUMBER:
        if (number_next(scan->number, c)) {
            scan->number = number_next(scan->number, c);
            return RF_JSON_IN_NUMBER;
        }
        if (!number_may_end(scan->number))
            return RF_JSON_BAD;
        return is_space(c) ? after_value(scan) : between(scan, c);
    default: break;
    }
    if (is_space(c))
        return scan->state;
    switch (scan->state) {
    case RF_JSON_FIRST_VALUE: return c == ']' ? close(scan, false) : begin_value(scan, c);
    case RF_JSON_BEFORE_VALUE: return begin_value(scan, c);
    case RF_JSON_FIRST_KEY:
        if (c == '}')
            return close(scan, true);
        return c == '"' ? RF_JSON_IN_KEY : RF_JSON_BAD;
    case RF_JSON_BEFORE_KEY: return c == '"' ? RF_JSON_IN_KEY : RF_JSON_BAD;
    case RF_JSON_BEFORE_COLON: return c == ':' ? RF_JSON_BEFORE_VALUE : RF_JSON_BAD;
    case RF_JSON_AFTER_VALUE: return between(scan, c);
    default: return RF_JSON_BAD;
    }
}

rf_json_scan_state rf_json_scan_push(rf_json_scan *scan, char c) {
    scan->state = next(scan, c);
    return scan->state;
}

bool rf_json_scan_may_end(const rf_json_scan *scan) {
    return scan->state == RF_JSON_DONE ||
           (scan->depth == 0 && scan->state == RF_JSON_IN_NUMBER && number_may_end(scan->number));
}
