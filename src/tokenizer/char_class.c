#include "tokenizer/char_class.h"

#include <utf8proc.h>

#define O RF_CHAR_OTHER
#define W RF_CHAR_SPACE
#define E (RF_CHAR_SPACE | RF_CHAR_NEWLINE)
#define P RF_CHAR_P
#define S RF_CHAR_S
#define N RF_CHAR_DIGIT
#define U RF_CHAR_LU
#define L RF_CHAR_LL
const uint16_t rf_char_ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, W, E, W, W, E, O, O, /* 00: TAB LF VT FF CR */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 10 */
    W, P, P, P, S, P, P, P, P, P, P, S, P, P, P, P, /* 20: $ and + are symbols */
    N, N, N, N, N, N, N, N, N, N, P, P, S, S, S, P, /* 30: so are < = > */
    P, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, /* 40 */
    U, U, U, U, U, U, U, U, U, U, U, P, P, P, S, P, /* 50: and ^ */
    S, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* 60: ` */
    L, L, L, L, L, L, L, L, L, L, L, P, S, P, S, O, /* 70: | and ~ */
};
#undef O
#undef W
#undef E
#undef P
#undef S
#undef N
#undef U
#undef L

static const uint16_t category_class[] = {
    [UTF8PROC_CATEGORY_CN] = RF_CHAR_OTHER, [UTF8PROC_CATEGORY_LU] = RF_CHAR_LU,
    [UTF8PROC_CATEGORY_LL] = RF_CHAR_LL,    [UTF8PROC_CATEGORY_LT] = RF_CHAR_LT,
    [UTF8PROC_CATEGORY_LM] = RF_CHAR_LX,    [UTF8PROC_CATEGORY_LO] = RF_CHAR_LX,
    [UTF8PROC_CATEGORY_MN] = RF_CHAR_M,     [UTF8PROC_CATEGORY_MC] = RF_CHAR_M,
    [UTF8PROC_CATEGORY_ME] = RF_CHAR_M,     [UTF8PROC_CATEGORY_ND] = RF_CHAR_DIGIT,
    [UTF8PROC_CATEGORY_NL] = RF_CHAR_N,     [UTF8PROC_CATEGORY_NO] = RF_CHAR_N,
    [UTF8PROC_CATEGORY_PC] = RF_CHAR_P,     [UTF8PROC_CATEGORY_PD] = RF_CHAR_P,
    [UTF8PROC_CATEGORY_PS] = RF_CHAR_P,     [UTF8PROC_CATEGORY_PE] = RF_CHAR_P,
    [UTF8PROC_CATEGORY_PI] = RF_CHAR_P,     [UTF8PROC_CATEGORY_PF] = RF_CHAR_P,
    [UTF8PROC_CATEGORY_PO] = RF_CHAR_P,     [UTF8PROC_CATEGORY_SM] = RF_CHAR_S,
    [UTF8PROC_CATEGORY_SC] = RF_CHAR_S,     [UTF8PROC_CATEGORY_SK] = RF_CHAR_S,
    [UTF8PROC_CATEGORY_SO] = RF_CHAR_S,     [UTF8PROC_CATEGORY_ZS] = RF_CHAR_SPACE,
    [UTF8PROC_CATEGORY_ZL] = RF_CHAR_SPACE, [UTF8PROC_CATEGORY_ZP] = RF_CHAR_SPACE,
    [UTF8PROC_CATEGORY_CC] = RF_CHAR_OTHER, [UTF8PROC_CATEGORY_CF] = RF_CHAR_OTHER,
    [UTF8PROC_CATEGORY_CS] = RF_CHAR_OTHER, [UTF8PROC_CATEGORY_CO] = RF_CHAR_OTHER,
};

typedef struct code_range {
    uint32_t first, last;
    uint32_t class;
} code_range;

static const code_range recent[] = {
#define X(first, last, class) {first, last, RF_CHAR_##class},
#include "tokenizer/char_class_recent.def"
#undef X
};

/* Scripts.txt, Script=Han, Unicode 16. */
static const code_range han[] = {
    {0x2e80, 0x2e99, 0},   {0x2e9b, 0x2ef3, 0},   {0x2f00, 0x2fd5, 0},   {0x3005, 0x3005, 0},
    {0x3007, 0x3007, 0},   {0x3021, 0x3029, 0},   {0x3038, 0x303b, 0},   {0x3400, 0x4dbf, 0},
    {0x4e00, 0x9fff, 0},   {0xf900, 0xfa6d, 0},   {0xfa70, 0xfad9, 0},   {0x16fe2, 0x16fe3, 0},
    {0x16ff0, 0x16ff1, 0}, {0x20000, 0x2a6df, 0}, {0x2a700, 0x2b739, 0}, {0x2b740, 0x2b81d, 0},
    {0x2b820, 0x2cea1, 0}, {0x2ceb0, 0x2ebe0, 0}, {0x2ebf0, 0x2ee5d, 0}, {0x2f800, 0x2fa1d, 0},
    {0x30000, 0x3134a, 0}, {0x31350, 0x323af, 0},
};

static const code_range *range_of(const code_range *table, size_t n, uint32_t code) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (code > table[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && code >= table[lo].first ? &table[lo] : NULL;
}

uint32_t rf_char_wide_class(uint32_t code) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)code);
    if (category == UTF8PROC_CATEGORY_CN) {
        const code_range *range = range_of(recent, sizeof recent / sizeof *recent, code);
        return range ? range->class : RF_CHAR_OTHER;
    }
    if (code == 0x85) /* NEL, the only White_Space outside ASCII that is a control */
        return RF_CHAR_SPACE;
    return category_class[category];
}

bool rf_char_is_han(uint32_t code) {
    return code >= han[0].first && range_of(han, sizeof han / sizeof *han, code) != NULL;
}
