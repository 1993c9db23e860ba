#include "kv/token_hash.h"

uint64_t rf_token_hash(rf_hash_key key, uint64_t before, const int32_t *tokens, uint32_t n) {
    rf_sip s = rf_sip_begin(key);
    rf_sip_word(&s, before);
    for (uint32_t i = 0; i + 2 <= n; i += 2)
        rf_sip_word(&s, (uint64_t)(uint32_t)tokens[i + 1] << 32 | (uint32_t)tokens[i]);
    return rf_sip_end(&s, (uint64_t)n << 56 | (n % 2 ? (uint32_t)tokens[n - 1] : 0));
}
