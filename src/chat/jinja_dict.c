#include "chat/jinja_object.h"

enum { LINEAR = 8 }; /* dicts up to this size are searched in order */

rf_jdict *rf_jdict_new(rf_vm *vm, uint32_t cap) {
    rf_jdict *dict = rf_vm_alloc(vm, 1, sizeof *dict);
    if (!dict)
        return NULL;
    *dict = (rf_jdict){0};
    if (cap && !rf_vm_grow(vm, (void **)&dict->entries, &dict->cap, cap, sizeof *dict->entries))
        return NULL;
    return dict;
}

/* Index of the entry, or n when there is none. *slot: where the index table would hold it. */
static bool find(rf_vm *vm, const rf_jdict *dict, rf_jv key, uint64_t hash, uint32_t *at,
                 uint32_t *slot) {
    bool equal = false;
    if (!dict->index) {
        for (uint32_t i = 0; i < dict->n; i++) {
            if (dict->entries[i].hash != hash)
                continue;
            if (!rf_jv_equal(vm, dict->entries[i].key, key, &equal))
                return false;
            if (equal) {
                *at = i;
                return true;
            }
        }
        *at = dict->n;
        return true;
    }
    uint32_t mask = dict->n_index - 1;
    for (uint32_t i = (uint32_t)(hash >> 32 ^ hash) & mask;; i = (i + 1) & mask) {
        uint32_t entry = dict->index[i];
        *slot = i;
        if (entry == 0) {
            *at = dict->n;
            return true;
        }
        if (dict->entries[entry - 1].hash != hash)
            continue;
        if (!rf_jv_equal(vm, dict->entries[entry - 1].key, key, &equal))
            return false;
        if (equal) {
            *at = entry - 1;
            return true;
        }
    }
}

static bool rebuild(rf_vm *vm, rf_jdict *dict, uint32_t n_index) {
    uint32_t *index = rf_vm_alloc(vm, n_index, sizeof *index);
    if (!index)
        return false;
    memset(index, 0, n_index * sizeof *index);
    for (uint32_t e = 0; e < dict->n; e++) {
        uint64_t hash = dict->entries[e].hash;
        uint32_t i = (uint32_t)(hash >> 32 ^ hash) & (n_index - 1);
        while (index[i])
            i = (i + 1) & (n_index - 1);
        index[i] = e + 1;
    }
    dict->index = index;
    dict->n_index = n_index;
    return true;
}

bool rf_jdict_set(rf_vm *vm, rf_jdict *dict, rf_jv key, rf_jv value) {
    uint64_t hash;
    uint32_t at, slot = 0;
    if (!rf_jv_hash(vm, key, &hash) || !find(vm, dict, key, hash, &at, &slot))
        return false;
    if (at < dict->n) {
        dict->entries[at].value = value;
        return true;
    }
    if (!rf_vm_grow(vm, (void **)&dict->entries, &dict->cap, dict->n + 1, sizeof *dict->entries))
        return false;
    dict->entries[dict->n++] = (rf_jentry){key, value, hash};
    if (dict->n > LINEAR && dict->n * 2 > dict->n_index)
        return rebuild(vm, dict, dict->n_index ? dict->n_index * 2 : LINEAR * 4);
    if (dict->index)
        dict->index[slot] = dict->n;
    return true;
}

bool rf_jdict_get(rf_vm *vm, const rf_jdict *dict, rf_jv key, rf_jv *out, bool *found) {
    uint64_t hash;
    uint32_t at, slot;
    if (!rf_jv_hash(vm, key, &hash) || !find(vm, dict, key, hash, &at, &slot))
        return false;
    *found = at < dict->n;
    if (*found)
        *out = dict->entries[at].value;
    return true;
}

bool rf_jdict_get_str(rf_vm *vm, const rf_jdict *dict, rf_str key, rf_jv *out, bool *found) {
    return rf_jdict_get(vm, dict, rf_jv_str(key), out, found);
}

static bool set_pair(rf_vm *vm, rf_jdict *dict, rf_jv pair, size_t i) {
    rf_jseq two;
    if (!rf_jv_is_iterable(pair))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "cannot convert dictionary update sequence element #%zu to a sequence",
                          i);
    if (!rf_jv_items(vm, pair, &two))
        return false;
    if (two.n != 2)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "ValueError: dictionary update sequence element #%zu has length %zu; 2 "
                          "is required",
                          i, two.n);
    return rf_jdict_set(vm, dict, two.items[0], two.items[1]);
}

bool rf_jdict_make(rf_vm *vm, const rf_jargs *args, rf_jdict **out) {
    rf_jdict *dict = rf_jdict_new(vm, 0);
    if (!dict)
        return false;
    if (args->n_pos > 1)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "dict expected at most 1 argument, got %zu",
                          args->n_pos);
    if (args->n_pos && args->pos[0].type == RF_J_DICT) {
        const rf_jdict *from = args->pos[0].u.dict;
        for (uint32_t i = 0; i < from->n; i++)
            if (!rf_jdict_set(vm, dict, from->entries[i].key, from->entries[i].value))
                return false;
    } else if (args->n_pos) {
        rf_jseq pairs;
        if (!rf_jv_items(vm, args->pos[0], &pairs))
            return false;
        for (size_t i = 0; i < pairs.n; i++)
            if (!set_pair(vm, dict, pairs.items[i], i))
                return false;
    }
    for (size_t i = 0; i < args->n_kw; i++)
        if (!rf_jdict_set(vm, dict, rf_jv_str(args->kw_names[i]), args->kw_values[i]))
            return false;
    *out = dict;
    return true;
}
