/* The HTTP API as Markdown, from the tables that the server itself goes by. Any thread. */
#ifndef RF_SERVER_API_REFERENCE_H
#define RF_SERVER_API_REFERENCE_H

#include "base/buf.h"

void rf_api_reference_write(rf_buf *out); /* out->failed: no memory */

#endif
