#include "cli/gguf_show.h"

#include <stdio.h>

#include "base/alloc.h"
#include "cli/output.h"
#include "quant/quant.h"

enum { TEXT_BYTES = 120 };

const char *rf_tensor_type_name(uint32_t type_id, char out[16]) {
    rf_qtype qtype;
    if (rf_qtype_from_gguf(type_id, &qtype))
        return rf_qtype_get(qtype)->name;
    (void)snprintf(out, 16, "type %u", type_id);
    return out;
}

void rf_tensor_shape_text(const rf_gguf_tensor *tensor, rf_buf *out) {
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        rf_buf_printf(out, "%s%llu", i ? " x " : "", (unsigned long long)tensor->ne[i]);
}

static bool is_float(rf_gguf_type type) { return type == RF_GGUF_F32 || type == RF_GGUF_F64; }

static void show_item(const rf_gguf_key *key, uint64_t i) {
    if (is_float(key->item_type))
        rf_out_printf("%.9g", rf_gguf_item_float(key, i));
    else if (key->item_type == RF_GGUF_BOOL)
        rf_out_text(rf_gguf_item_int(key, i) ? "true" : "false");
    else
        rf_out_printf("%lld", (long long)rf_gguf_item_int(key, i));
}

static void show_value(const rf_gguf_key *key) {
    bool array = key->type == RF_GGUF_ARRAY;
    if (array)
        rf_out_text("[");
    if (key->item_type == RF_GGUF_STRING) {
        rf_gguf_strings walk = rf_gguf_strings_begin(key);
        rf_str text;
        for (int i = 0; i < RF_SHOWN_ITEMS && rf_gguf_strings_next(&walk, &text); i++) {
            rf_out_text(i ? ", \"" : "\"");
            rf_out_safe(text, TEXT_BYTES, false);
            rf_out_text("\"");
        }
    } else if (key->item_type != RF_GGUF_ARRAY) {
        for (uint64_t i = 0; i < key->n_items && i < RF_SHOWN_ITEMS; i++) {
            rf_out_text(i ? ", " : "");
            show_item(key, i);
        }
    }
    if (array)
        rf_out_text(key->n_items > RF_SHOWN_ITEMS ? ", …]" : "]");
}

void rf_gguf_show_keys(const rf_gguf *gguf) {
    for (size_t i = 0; i < rf_gguf_n_keys(gguf); i++) {
        const rf_gguf_key *key = rf_gguf_key_at(gguf, i);
        char type[48];
        if (key->type == RF_GGUF_ARRAY)
            (void)snprintf(type, sizeof type, "%s[%llu]", rf_gguf_type_name(key->item_type),
                           (unsigned long long)key->n_items);
        else
            (void)snprintf(type, sizeof type, "%s", rf_gguf_type_name(key->type));
        rf_out_text("  ");
        rf_out_safe(key->name, 200, false);
        rf_out_printf("%*s %s%-14s%s ", key->name.len < 42 ? (int)(42 - key->name.len) : 0, "",
                      rf_out_style(RF_STYLE_DIM), type, rf_out_style(RF_STYLE_NONE));
        show_value(key);
        rf_out_text("\n");
    }
}

void rf_gguf_show_tensors(const rf_gguf *gguf) {
    rf_buf shape;
    rf_buf_init(&shape, 256);
    for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(gguf, i);
        char type[16], size[RF_SIZE_TEXT_BYTES];
        rf_buf_clear(&shape);
        rf_tensor_shape_text(tensor, &shape);
        rf_out_text("  ");
        rf_out_safe(tensor->name, 200, false);
        rf_out_printf("%*s %-8s %-22s %10s\n",
                      tensor->name.len < 36 ? (int)(36 - tensor->name.len) : 0, "",
                      rf_tensor_type_name(tensor->type_id, type), shape.data ? shape.data : "",
                      rf_size_text(tensor->bytes, size));
    }
    rf_buf_deinit(&shape);
}

void rf_gguf_show_types(const rf_gguf *gguf) {
    size_t n = rf_gguf_n_tensors(gguf);
    for (size_t i = 0; i < n; i++) {
        uint32_t type_id = rf_gguf_tensor_at(gguf, i)->type_id;
        uint64_t bytes = 0, count = 0;
        bool first = true;
        for (size_t j = 0; j < n; j++) {
            const rf_gguf_tensor *tensor = rf_gguf_tensor_at(gguf, j);
            if (tensor->type_id != type_id)
                continue;
            first = first && j >= i;
            count++;
            bytes += tensor->bytes;
        }
        char type[16], size[RF_SIZE_TEXT_BYTES];
        if (first)
            rf_out_printf("  %-8s %5llu tensors %10s\n", rf_tensor_type_name(type_id, type),
                          (unsigned long long)count, rf_size_text(bytes, size));
    }
}

static json_t *item_json(const rf_gguf_key *key, uint64_t i) {
    if (is_float(key->item_type)) {
        json_t *real = json_real(rf_gguf_item_float(key, i)); /* NULL for NaN and infinity */
        return real ? real : json_null();
    }
    if (key->item_type == RF_GGUF_BOOL)
        return json_boolean(rf_gguf_item_int(key, i) != 0);
    return json_integer(rf_gguf_item_int(key, i));
}

static json_t *items_json(const rf_gguf_key *key, bool *ok) {
    json_t *items = json_array();
    if (key->item_type == RF_GGUF_STRING) {
        rf_gguf_strings walk = rf_gguf_strings_begin(key);
        rf_str text;
        for (int i = 0; i < RF_SHOWN_ITEMS && rf_gguf_strings_next(&walk, &text); i++)
            rf_json_add(items, rf_json_str(text), ok);
    } else if (key->item_type != RF_GGUF_ARRAY) {
        for (uint64_t i = 0; i < key->n_items && i < RF_SHOWN_ITEMS; i++)
            rf_json_add(items, item_json(key, i), ok);
    }
    return items;
}

static json_t *value_json(const rf_gguf_key *key, bool *ok) {
    if (key->type == RF_GGUF_STRING) {
        rf_gguf_strings walk = rf_gguf_strings_begin(key);
        rf_str text = {0};
        (void)rf_gguf_strings_next(&walk, &text);
        return rf_json_str(text);
    }
    if (key->type != RF_GGUF_ARRAY)
        return item_json(key, 0);
    json_t *array = json_object();
    rf_json_set(array, "item_type", json_string(rf_gguf_type_name(key->item_type)), ok);
    rf_json_set(array, "n_items", json_integer((json_int_t)key->n_items), ok);
    rf_json_set(array, "first_items", items_json(key, ok), ok);
    return array;
}

/* Names from a file may hold any byte; JSON keys want UTF-8. */
static void set_named(json_t *object, rf_str name, json_t *value, bool *ok) {
    json_t *key = rf_json_str(name);
    if (key)
        rf_json_set(object, json_string_value(key), value, ok);
    else
        json_decref(value);
    *ok = *ok && key;
    json_decref(key);
}

json_t *rf_gguf_keys_json(const rf_gguf *gguf, bool *ok) {
    json_t *keys = json_object();
    for (size_t i = 0; i < rf_gguf_n_keys(gguf); i++) {
        const rf_gguf_key *key = rf_gguf_key_at(gguf, i);
        set_named(keys, key->name, value_json(key, ok), ok);
    }
    return keys;
}

json_t *rf_gguf_tensors_json(const rf_gguf *gguf, bool *ok) {
    json_t *tensors = json_array();
    for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(gguf, i);
        char type[16];
        json_t *item = json_object(), *shape = json_array();
        for (uint32_t d = 0; d < tensor->n_dims; d++)
            rf_json_add(shape, json_integer((json_int_t)tensor->ne[d]), ok);
        rf_json_set(item, "name", rf_json_str(tensor->name), ok);
        rf_json_set(item, "type", json_string(rf_tensor_type_name(tensor->type_id, type)), ok);
        rf_json_set(item, "shape", shape, ok);
        rf_json_set(item, "offset", json_integer((json_int_t)tensor->offset), ok);
        rf_json_set(item, "bytes", json_integer((json_int_t)tensor->bytes), ok);
        rf_json_add(tensors, item, ok);
    }
    return tensors;
}
