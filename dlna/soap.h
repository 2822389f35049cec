/* SPDX-License-Identifier: Apache-2.0 */
/* What a control point sends: actions, subscriptions, and the fetching of descriptions. All answers
 * are bounded in bytes and time. */
#pragma once

#include <libsoup/soup.h>

/* The code is that of the UPnPError. */
#define DLNA_SOAP_ERROR (dlna_soap_error_quark ())
GQuark dlna_soap_error_quark (void);

/* For requests of ours; 5 s for each. */
SoupSession *dlna_soap_session_new (void);

/* bytes: the body of an answer, whatever its status; NULL = there is none, and error says why.
 * Borrowed. */
typedef void (*DlnaSoapFetched) (SoupMessage *message, GBytes *bytes, const GError *error,
                                 gpointer data);
/* done is called once, later; not at all when it was cancelled before. Borrows message. */
void dlna_soap_send (SoupSession *session, SoupMessage *message, GCancellable *cancellable,
                     DlnaSoapFetched done, gpointer data);

/* out: the action's answer, name -> text; NULL = error says why. Borrowed. */
typedef void (*DlnaSoapAnswered) (GHashTable *out, const GError *error, gpointer data);
/* arguments: name, value, ..., NULL. As above. */
/* url: one that was parsed before. */
void dlna_soap_call (SoupSession *session, const char *url, const char *service, const char *action,
                     const char *const *arguments, GCancellable *cancellable, DlnaSoapAnswered done,
                     gpointer data);
