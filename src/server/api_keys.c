#include "server/api_keys.h"

#include "base/alloc.h"

rf_status rf_api_keys_add(rf_api_keys *keys, rf_str name, rf_str secret, rf_error *err) {
    if (secret.len == 0 || secret.len >= RF_API_KEY_BYTES)
        return rf_fail(err, RF_ERR_USAGE, "API key of %zu bytes, expected 1 to %d", secret.len,
                       RF_API_KEY_BYTES - 1);
    for (size_t i = 0; i < secret.len; i++)
        if (secret.ptr[i] <= ' ' || secret.ptr[i] > '~')
            return rf_fail(err, RF_ERR_USAGE,
                           "API key: character %zu is no printable ASCII or a blank", i + 1);
    if (keys->n == RF_API_KEYS_MAX)
        return rf_fail(err, RF_ERR_USAGE, "more than %d API keys", RF_API_KEYS_MAX);
    rf_api_key *list = rf_realloc_array(keys->list, keys->n + 1, sizeof *list);
    if (!list)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the API keys");
    keys->list = list;
    rf_api_key *key = &list[keys->n++];
    *key = (rf_api_key){.n_secret = secret.len};
    memcpy(key->secret, secret.ptr, secret.len);
    name = rf_str_sub(name, 0, RF_API_KEY_NAME_BYTES - 1);
    if (name.len > 0)
        memcpy(key->name, name.ptr, name.len);
    return RF_OK;
}

static rf_str trim(rf_str s) {
    while (s.len > 0 && (unsigned char)s.ptr[s.len - 1] <= ' ')
        s.len--;
    while (s.len > 0 && (unsigned char)s.ptr[0] <= ' ')
        s = rf_str_sub(s, 1, s.len);
    return s;
}

rf_status rf_api_keys_read(rf_api_keys *keys, rf_str text, rf_error *err) {
    for (size_t line = 1; text.len > 0; line++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t n = end ? (size_t)(end - text.ptr) : text.len;
        rf_str secret = trim(rf_str_sub(text, 0, n)), name = {0};
        text = rf_str_sub(text, end ? n + 1 : n, text.len);
        if (secret.len == 0 || secret.ptr[0] == '#')
            continue;
        const char *colon = memchr(secret.ptr, ':', secret.len);
        if (colon) {
            name = rf_str_sub(secret, 0, (size_t)(colon - secret.ptr));
            secret = rf_str_sub(secret, name.len + 1, secret.len);
        }
        if (rf_api_keys_add(keys, name, secret, err) != RF_OK)
            return rf_fail_prefix(err, "line %zu", line);
    }
    return RF_OK;
}

void rf_api_keys_deinit(rf_api_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        explicit_bzero(&keys->list[i], sizeof keys->list[i]);
    rf_free(keys->list);
    *keys = (rf_api_keys){0};
}

const rf_api_key *rf_api_keys_find(const rf_api_keys *keys, rf_str secret) {
    char given[RF_API_KEY_BYTES] = {0};
    const rf_api_key *found = NULL;
    size_t n = secret.len < RF_API_KEY_BYTES ? secret.len : RF_API_KEY_BYTES - 1;
    if (n > 0)
        memcpy(given, secret.ptr, n);
    for (size_t k = 0; k < keys->n; k++) {
        const rf_api_key *key = &keys->list[k];
        volatile unsigned char differs = key->n_secret != secret.len;
        for (size_t i = 0; i < RF_API_KEY_BYTES; i++)
            differs |= (unsigned char)(given[i] ^ key->secret[i]);
        found = differs ? found : key;
    }
    explicit_bzero(given, sizeof given);
    return found;
}
