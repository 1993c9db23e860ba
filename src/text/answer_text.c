#include "text/answer_text.h"

enum { PIECE_MAX_BYTES = 1 << 20, FRESH_MAX_BYTES = 1 << 24 };

void rf_answer_text_init(rf_answer_text *answer, const rf_tokenizer *tokenizer,
                         const char *const *stops, size_t n_stops, bool continues) {
    *answer = (rf_answer_text){.tokenizer = tokenizer};
    answer->detokenizer.keep_leading_space = continues;
    answer->detokenizer.skip_special = true;
    rf_stop_scan_init(&answer->scan, stops, n_stops);
    rf_buf_init(&answer->piece, PIECE_MAX_BYTES);
    rf_buf_init(&answer->fresh, FRESH_MAX_BYTES);
}

void rf_answer_text_deinit(rf_answer_text *answer) {
    rf_stop_scan_deinit(&answer->scan);
    rf_buf_deinit(&answer->piece);
    rf_buf_deinit(&answer->fresh);
}

static rf_status scan_piece(rf_answer_text *answer, rf_error *err) {
    if (!rf_stop_scan_push(&answer->scan, rf_buf_view(&answer->piece), &answer->fresh))
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the text");
    return RF_OK;
}

rf_status rf_answer_text_push(rf_answer_text *answer, int32_t token, rf_error *err) {
    rf_buf_clear(&answer->piece);
    rf_buf_clear(&answer->fresh);
    answer->detokenizer.skip_special =
        !answer->shown || (answer->shown[(uint32_t)token / 32] >> token % 32 & 1) == 0;
    RF_TRY(
        rf_detokenizer_push(&answer->detokenizer, answer->tokenizer, token, &answer->piece, err));
    return scan_piece(answer, err);
}

rf_status rf_answer_text_finish(rf_answer_text *answer, rf_error *err) {
    rf_buf_clear(&answer->piece);
    rf_buf_clear(&answer->fresh);
    rf_detokenizer_finish(&answer->detokenizer, &answer->piece);
    RF_TRY(scan_piece(answer, err));
    rf_stop_scan_finish(&answer->scan, &answer->fresh);
    return answer->fresh.failed ? rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the text")
                                : RF_OK;
}
