/* The API as an OpenAPI 3.1 document, from the tables that the server itself goes by. Any thread.
 */
#ifndef RF_SERVER_OPENAPI_H
#define RF_SERVER_OPENAPI_H

#include "base/buf.h"

void rf_openapi_write(rf_buf *out); /* out->failed: no memory */

#endif
