/* SPDX-License-Identifier: Apache-2.0 */
/* Channel lists: the ppsp: links of an M3U, fetched by http:, https: or file:. */
#pragma once

#include <gio/gio.h>

#define CLI_LIST_MAX (4 << 20) /* bytes; the rest of a longer one is left out */

typedef struct CliList CliList;

/* links: char *, those of the list, in its order; NULL = it could not be fetched, error says why. */
typedef void (*CliListFunc) (GPtrArray *links, const GError *error, gpointer data);

CliList *cli_list_new (const char *uri, CliListFunc func, gpointer data);
void cli_list_free (CliList *self);
const char *cli_list_uri (const CliList *self);
/* Fetches it, which func tells; nothing if that is under way already. */
void cli_list_fetch (CliList *self);

/* The links of a text; the caller frees with g_ptr_array_unref. */
GPtrArray *cli_list_parse (const char *text, size_t n);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CliList, cli_list_free)
