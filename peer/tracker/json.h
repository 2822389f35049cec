/* SPDX-License-Identifier: Apache-2.0 */
/* The encoding of RFC 7846, section 4: messages <-> JSON. Written is the form of the schema
 * (section 3); read are also those of the RFC's own examples, where they differ from it. */
#pragma once

#include "peer/tracker/message.h"

#define TRACKER_JSON_TYPE "application/ppsp-tracker+json"
/* Bytes of a message, and how deep its brackets are nested. More is malformed. */
#define TRACKER_JSON_MAX_SIZE (256 * 1024)
#define TRACKER_JSON_MAX_DEPTH 16

/* OK, BAD_REQUEST or UNSUPPORTED_VERSION. out is set for OK; otherwise transaction_id is set: that
 * of the request where it could be read, or "". The caller frees either. */
TrackerStatus tracker_json_read_request (const char *bytes, size_t n, TrackerRequest **out,
                                         char **transaction_id);
/* NULL = malformed. */
TrackerResponse *tracker_json_read_response (const char *bytes, size_t n);

/* The caller frees. */
char *tracker_json_write_request (const TrackerRequest *request, size_t *n);
char *tracker_json_write_response (const TrackerResponse *response, size_t *n);
