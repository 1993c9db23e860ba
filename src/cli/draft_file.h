/*
 * What --draft and --lookup make of a session: who guesses, and a draft model's file beside the
 * model's. Main thread; the session owns what is opened.
 */
#ifndef RF_CLI_DRAFT_FILE_H
#define RF_CLI_DRAFT_FILE_H

#include "cli/session.h"

/* After the model. A draft model whose tokens are not the model's is refused. */
RF_NODISCARD rf_status rf_draft_open(rf_cli *cli, rf_session *session, rf_error *err);
/* Without the backend. */
rf_draft_options rf_draft_engine_options(const rf_cli *cli, const rf_session *session);

#endif
