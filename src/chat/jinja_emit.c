#include "chat/jinja_compiler.h"
#include "chat/jinja_number.h"

rf_status rf_jc_emit(rf_jcompiler *c, rf_jop op, uint16_t n, int32_t a, int32_t b) {
    rf_jcode *code = &c->code;
    if (code->n_code >= INT32_MAX ||
        !rf_jc_grow(c, &code->code, &c->cap_code, code->n_code + 1, sizeof *code->code))
        return rf_jc_no_memory(c);
    code->code[code->n_code++] =
        (rf_jinstr){.op = (uint16_t)op, .n = n, .a = a, .b = b, .line = rf_jc_tok(c)->line};
    return RF_OK;
}

int32_t rf_jc_here(const rf_jcompiler *c) { return (int32_t)c->code.n_code; }

void rf_jc_patch(rf_jcompiler *c, int32_t at, int32_t target) { c->code.code[at].a = target; }

rf_status rf_jc_const(rf_jcompiler *c, rf_jv value, int32_t *index) {
    rf_jcode *code = &c->code;
    if (!rf_jc_grow(c, &code->consts, &c->cap_consts, code->n_consts + 1, sizeof *code->consts))
        return rf_jc_no_memory(c);
    *index = (int32_t)code->n_consts;
    code->consts[code->n_consts++] = value;
    return RF_OK;
}

rf_status rf_jc_emit_const(rf_jcompiler *c, rf_jop op, rf_jv value) {
    int32_t index = 0;
    RF_TRY(rf_jc_const(c, value, &index));
    return rf_jc_emit(c, op, 0, index, 0);
}

rf_status rf_jc_name(rf_jcompiler *c, rf_str name, int32_t *index) {
    rf_jcode *code = &c->code;
    uint32_t found;
    if (rf_map_get(&c->names, name, &found)) {
        *index = (int32_t)found;
        return RF_OK;
    }
    if (!rf_jc_grow(c, &code->names, &c->cap_names, code->n_names + 1, sizeof *code->names) ||
        !rf_map_put(&c->names, name, code->n_names, NULL))
        return rf_jc_no_memory(c);
    *index = (int32_t)code->n_names;
    code->names[code->n_names++] = name;
    return RF_OK;
}

/* Takes the shape's keyword names from the top of c->kw_names. */
rf_status rf_jc_shape(rf_jcompiler *c, rf_jcall_shape shape, int32_t *index) {
    rf_jcode *code = &c->code;
    rf_str *names = RF_ARENA_ARRAY(c->arena, rf_str, shape.n_kw);
    if (!names ||
        !rf_jc_grow(c, &code->shapes, &c->cap_shapes, code->n_shapes + 1, sizeof *code->shapes))
        return rf_jc_no_memory(c);
    c->n_kw_names -= shape.n_kw;
    if (shape.n_kw)
        memcpy(names, c->kw_names + c->n_kw_names, shape.n_kw * sizeof *names);
    shape.kw_names = names;
    *index = (int32_t)code->n_shapes;
    code->shapes[code->n_shapes++] = shape;
    return RF_OK;
}

rf_status rf_jc_load(rf_jcompiler *c, rf_str name) {
    int32_t index = 0;
    RF_TRY(rf_jc_name(c, name, &index));
    RF_TRY(rf_jc_touch(c, index, RF_JTOUCH_LOAD));
    return rf_jc_emit(c, RF_JOP_LOAD, 0, index, 0);
}

rf_status rf_jc_number(rf_jcompiler *c, const rf_jtoken *token, rf_jv *out) {
    if (token->type == RF_JT_FLOAT) {
        double value;
        if (!rf_number_parse_float(token->text, &value))
            return rf_jc_fail(c, "bad number '%.*s'", RF_STR_ARG(token->text));
        *out = rf_jv_float(value);
        return RF_OK;
    }
    rf_number_parse parsed = rf_number_parse_int(c->arena, token->text, 0, out);
    if (parsed == RF_NUMBER_BAD)
        return rf_jc_fail(c, "bad number '%.*s'", RF_STR_ARG(token->text));
    return parsed == RF_NUMBER_NO_MEMORY ? rf_jc_no_memory(c) : RF_OK;
}
