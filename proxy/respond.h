/* SPDX-License-Identifier: Apache-2.0 */
/* What every answer of the page and the API has in common: headers that keep foreign pages out,
 * and JSON. */
#pragma once

#include <libsoup/soup.h>
#include <stdbool.h>
#include <stdint.h>

/* Takes body over. HEAD gets the headers alone. */
void proxy_respond (SoupServerMessage *message, unsigned status, const char *type, GString *body);
/* {"error": text} */
void proxy_respond_error (SoupServerMessage *message, unsigned status, const char *text);
/* The next piece of a body; NULL = there is no more. */
typedef GString *(*ProxyRespondNext) (gpointer data);
/* A body of any length, of which one piece at a time is in memory. data is freed by destroy when the
 * answer is over, however it ends. */
void proxy_respond_pieces (SoupServerMessage *message, const char *type, ProxyRespondNext next,
                           gpointer data, GDestroyNotify destroy);
/* Bytes that do not change while the program runs; answers 304 to who has them. */
void proxy_respond_static (SoupServerMessage *message, const char *type, GBytes *bytes);

/* 405; allow: the methods that it takes, as RFC 9110, 15.5.6 wants them told. */
void proxy_respond_not_allowed (SoupServerMessage *message, const char *allow, const char *text);
/* GET or HEAD; else answers 405 and returns false. */
bool proxy_respond_reads_only (SoupServerMessage *message, const char *allow);
/* May this request change something? Only a page of ours can send it: a header and a media type
 * that a foreign page cannot set without asking first, and no foreign origin. Else answers 403. */
bool proxy_respond_may_change (SoupServerMessage *message);

/* A string in quotes. NULL becomes null. */
void proxy_json_string (GString *out, const char *text);
/* "key":value with a comma in front if one is needed. */
void proxy_json_key (GString *out, const char *key);
void proxy_json_text (GString *out, const char *key, const char *text);
void proxy_json_number (GString *out, const char *key, int64_t number);
void proxy_json_bool (GString *out, const char *key, bool value);
