/* SPDX-License-Identifier: Apache-2.0 */
#include "peer/cli/list.h"

#include "peer/net/fetch.h"

#include <string.h>

#define FETCH_S 60 /* for a whole list */
#define SCHEME "ppsp:"

struct CliList {
  char *uri;
  CliListFunc func;
  gpointer data;
  NetFetch *fetch; /* NULL = nothing is under way */
};

CliList *
cli_list_new (const char *uri, CliListFunc func, gpointer data)
{
  CliList *self = g_new0 (CliList, 1);
  self->uri = g_strdup (uri);
  self->func = func;
  self->data = data;
  return self;
}

void
cli_list_free (CliList *self)
{
  if (self == NULL)
    return;
  g_clear_pointer (&self->fetch, net_fetch_free);
  g_free (self->uri);
  g_free (self);
}

const char *
cli_list_uri (const CliList *self)
{
  return self->uri;
}

GPtrArray *
cli_list_parse (const char *text, size_t n)
{
  GPtrArray *links = g_ptr_array_new_with_free_func (g_free);
  for (const char *line = text, *end = text + n; line < end;) {
    const char *stop = memchr (line, '\n', (size_t)(end - line));
    g_autofree char *copy = g_strndup (line, (size_t)((stop != NULL ? stop : end) - line));
    g_strstrip (copy);
    if (g_str_has_prefix (copy, SCHEME))
      g_ptr_array_add (links, g_steal_pointer (&copy));
    line = stop != NULL ? stop + 1 : end;
  }
  return links;
}

/* Of a list that is too long, all whole lines: half a link may be a link too. */
static size_t
whole_lines (const char *text, size_t n)
{
  while (n > 0 && text[n - 1] != '\n')
    n--;
  return n;
}

static void
on_fetched (GBytes *text, bool is_cut, const GError *error, gpointer data)
{
  CliList *self = data;
  g_autoptr (GPtrArray) links = NULL;
  g_clear_pointer (&self->fetch, net_fetch_free);
  if (text != NULL) {
    size_t n;
    const char *list = g_bytes_get_data (text, &n);
    links = cli_list_parse (list, is_cut ? whole_lines (list, n) : n);
  }
  self->func (links, error, self->data);
}

void
cli_list_fetch (CliList *self)
{
  if (self->fetch == NULL)
    self->fetch = net_fetch_new (self->uri, CLI_LIST_MAX, FETCH_S, "ppsp-peer/" PPSP_VERSION,
                                 on_fetched, self);
}
