/* SPDX-License-Identifier: Apache-2.0 */
/* Browse and Search turn arguments into a list of items and the list into DIDL-Lite; the library
 * is asked afresh each time, so there is nothing here to go stale.
 *
 * Arguments are taken as text and read here, because a number that is none must be answered with
 * 402 and not with the first page.
 *
 * Changes are told at most every two seconds (section 2.5.3 and 2.5.4: moderated): the first at
 * once, those that follow together. */

#include "dlna/content-directory.h"
#include "dlna/didl.h"
#include "dlna/search.h"
#include <libsoup/soup.h>
#include <string.h>

#define MAX_RESULTS 5000    /* items of one answer; a control point asks for the rest */
#define MAX_SEARCHED 100000 /* items looked at in one Search */
#define MAX_DEPTH 16        /* of containers, in a Search */
#define MAX_CONTAINERS 256  /* whose changes wait to be told */
#define MODERATION_MS 2000

#define ERROR_INVALID_ARGS 402
#define ERROR_NO_SUCH_OBJECT 701
#define ERROR_INVALID_CRITERIA 708
#define ERROR_INVALID_SORT 709
#define ERROR_NO_SUCH_CONTAINER 710
#define ERROR_CANNOT_PROCESS 720

struct DlnaContentDirectory {
  GUPnPService *service;
  DlnaLibrary *library;
  const DlnaQuirks *quirks;
  char *base;
  GHashTable *changed; /* container -> its update ID; not yet told */
  char *told;          /* ContainerUpdateIDs of the last event */
  bool pending;        /* something has changed that was not told */
  guint moderation;    /* source; 0 = the next change is told at once */
};

typedef struct {
  char *id, *filter, *sort, *criteria;
  bool metadata;
  guint32 start, count;
} Arguments;

static void
arguments_clear (Arguments *self)
{
  g_free (self->id);
  g_free (self->filter);
  g_free (self->sort);
  g_free (self->criteria);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Arguments, arguments_clear)

static void
fail (GUPnPServiceAction *action, guint code)
{
  static const struct {
    guint code;
    const char *text;
  } texts[] = {
      {ERROR_INVALID_ARGS, "Invalid Args"},
      {ERROR_NO_SUCH_OBJECT, "No such object"},
      {ERROR_INVALID_CRITERIA, "Unsupported or invalid search criteria"},
      {ERROR_INVALID_SORT, "Unsupported or invalid sort criteria"},
      {ERROR_NO_SUCH_CONTAINER, "No such container"},
      {ERROR_CANNOT_PROCESS, "Cannot process the request"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS (texts); i++)
    if (texts[i].code == code)
      gupnp_service_action_return_error (action, code, texts[i].text);
}

static bool
read_number (const char *text, guint32 *out)
{
  guint64 value;

  /* section 2.5: ui4; absent counts as wrong, white space around it does not */
  if (text == NULL || !g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT32, &value, NULL))
    return false;
  *out = (guint32)value;
  return true;
}

static char *
take_argument (GUPnPServiceAction *action, const char *name)
{
  char *value = NULL;

  gupnp_service_action_get (action, name, G_TYPE_STRING, &value, NULL);
  return value != NULL ? g_strstrip (value) : NULL;
}

/* What Browse and Search share. false = 402. */
static bool
read_arguments (GUPnPServiceAction *action, Arguments *out)
{
  g_autofree char *start = take_argument (action, "StartingIndex");
  g_autofree char *count = take_argument (action, "RequestedCount");

  out->filter = take_argument (action, "Filter");
  out->sort = take_argument (action, "SortCriteria");
  return read_number (start, &out->start) && read_number (count, &out->count);
}

/* -1, 1: by title, down or up; 0: in the library's order. Properties that we do not sort by are
 * passed over (sets ask for a dozen at once); what is no list of properties is 709. */
static bool
read_sort (const char *criteria, int *out)
{
  g_auto (GStrv) parts = NULL;

  *out = 0;
  if (criteria == NULL || criteria[0] == '\0')
    return true;
  parts = g_strsplit (criteria, ",", 32);
  for (size_t i = 0; parts[i] != NULL; i++) {
    const char *part = g_strstrip (parts[i]);
    if ((part[0] != '+' && part[0] != '-') || part[1] == '\0')
      return false;
    if (*out == 0 && strcmp (part + 1, "dc:title") == 0)
      *out = part[0] == '+' ? 1 : -1;
  }
  return true;
}

static gint
compare_titles (gconstpointer a, gconstpointer b, gpointer data)
{
  const DlnaItem *left = *(DlnaItem *const *)a, *right = *(DlnaItem *const *)b;
  g_autofree char *one = g_utf8_make_valid (left->title != NULL ? left->title : left->id, -1);
  g_autofree char *other = g_utf8_make_valid (right->title != NULL ? right->title : right->id, -1);

  return g_utf8_collate (one, other) * *(int *)data;
}

static guint
code_of (const GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) ? ERROR_NO_SUCH_OBJECT
                                                                   : ERROR_CANNOT_PROCESS;
}

/* Items first to first + n of items, as the answer. */
static void
answer (DlnaContentDirectory *self, GUPnPServiceAction *action, const Arguments *arguments,
        GPtrArray *items, guint first, guint n, guint total)
{
  g_autoptr (SoupServerMessage) message = gupnp_service_action_get_message (action);
  const DlnaQuirk *quirk = dlna_quirks_of (self->quirks, message);
  DlnaDidlOptions options = {.base = self->base,
                             .filter = arguments->filter,
                             .style = &quirk->style,
                             .numbers_titles = quirk->numbers_titles};
  DlnaDidl *didl = dlna_didl_new (&options);
  g_autofree char *result = NULL;

  for (guint i = first; i < first + n; i++)
    dlna_didl_add (didl, g_ptr_array_index (items, i));
  result = dlna_didl_finish (didl);
  gupnp_service_action_set (action, "Result", G_TYPE_STRING, result, "NumberReturned", G_TYPE_UINT,
                            n, "TotalMatches", G_TYPE_UINT, total, "UpdateID", G_TYPE_UINT,
                            dlna_library_update_id (self->library, arguments->id), NULL);
  gupnp_service_action_return_success (action);
}

/* The page of a list that is whole, sorted if need be. */
static void
answer_page (DlnaContentDirectory *self, GUPnPServiceAction *action, const Arguments *arguments,
             GPtrArray *items, int sort)
{
  guint first = MIN (arguments->start, items->len);
  guint n = items->len - first;

  if (arguments->count > 0)
    n = MIN (n, arguments->count);
  if (sort != 0)
    g_ptr_array_sort_with_data (items, compare_titles, &sort);
  answer (self, action, arguments, items, first, MIN (n, MAX_RESULTS), items->len);
}

static void
browse_children (DlnaContentDirectory *self, GUPnPServiceAction *action, const Arguments *arguments)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = NULL;
  guint total = 0, limit = MAX_RESULTS;
  int sort;

  if (!read_sort (arguments->sort, &sort)) {
    fail (action, ERROR_INVALID_SORT);
    return;
  }
  if (arguments->count > 0)
    limit = MIN (arguments->count, MAX_RESULTS);
  if (sort != 0)
    items = dlna_library_list (self->library, arguments->id, 0, 0, &total, &error);
  else
    items =
        dlna_library_list (self->library, arguments->id, arguments->start, limit, &total, &error);
  if (items == NULL)
    fail (action, code_of (error));
  else if (sort != 0)
    answer_page (self, action, arguments, items, sort);
  else
    answer (self, action, arguments, items, 0, items->len, total);
}

static void
on_browse (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  DlnaContentDirectory *self = data;
  g_auto (Arguments) arguments = {0};
  g_autofree char *flag = take_argument (action, "BrowseFlag");
  g_autoptr (GError) error = NULL;
  g_autoptr (DlnaItem) item = NULL;
  g_autoptr (GPtrArray) one = NULL;

  arguments.id = take_argument (action, "ObjectID");
  if (arguments.id == NULL) /* what Xbox 360 says */
    arguments.id = take_argument (action, "ContainerID");
  if (!read_arguments (action, &arguments) || arguments.id == NULL || flag == NULL ||
      (strcmp (flag, "BrowseMetadata") != 0 && strcmp (flag, "BrowseDirectChildren") != 0)) {
    fail (action, ERROR_INVALID_ARGS);
    return;
  }
  if (strcmp (flag, "BrowseDirectChildren") == 0) {
    browse_children (self, action, &arguments);
    return;
  }
  if (arguments.start != 0) { /* section 2.7.4.2: must be 0 for metadata */
    fail (action, ERROR_INVALID_ARGS);
    return;
  }
  item = dlna_library_lookup (self->library, arguments.id, &error);
  if (item == NULL) {
    fail (action, code_of (error));
    return;
  }
  one = g_ptr_array_new ();
  g_ptr_array_add (one, item);
  answer (self, action, &arguments, one, 0, 1, 1);
}

typedef struct {
  const DlnaSearch *search;
  bool references; /* entries that stand for another are found too */
  guint looked;
} Search;

/* Adds what matches below id to out; takes it out of the library's list. */
static bool
search_below (DlnaContentDirectory *self, const char *id, Search *search, unsigned depth,
              GPtrArray *out, GError **error)
{
  guint total;
  g_autoptr (GPtrArray) items = dlna_library_list (self->library, id, 0, 0, &total, error);

  if (items == NULL)
    return false;
  g_ptr_array_set_free_func (items, NULL);
  for (guint i = 0; i < items->len; i++) {
    g_autoptr (DlnaItem) item = g_ptr_array_index (items, i);
    g_autofree char *below = NULL;

    if (search->looked++ >= MAX_SEARCHED)
      continue;
    if (item->mime == NULL && depth < MAX_DEPTH)
      below = g_strdup (item->id);
    if ((item->ref_id == NULL || search->references) && dlna_search_matches (search->search, item))
      g_ptr_array_add (out, g_steal_pointer (&item));
    /* A container that has gone meanwhile has nothing in it. */
    if (below != NULL)
      (void)search_below (self, below, search, depth + 1, out, NULL);
  }
  return true;
}

static void
on_search (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  DlnaContentDirectory *self = data;
  g_auto (Arguments) arguments = {0};
  g_autoptr (DlnaSearch) parsed = NULL;
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify)dlna_item_free);
  g_autoptr (GError) error = NULL;
  Search search = {0};
  int sort;

  arguments.id = take_argument (action, "ContainerID");
  arguments.criteria = take_argument (action, "SearchCriteria");
  if (!read_arguments (action, &arguments) || arguments.id == NULL || arguments.criteria == NULL) {
    fail (action, ERROR_INVALID_ARGS);
    return;
  }
  search.search = parsed = dlna_search_parse (arguments.criteria);
  /* In a search of everything each thing is found once, though it stands in several containers. */
  search.references = strcmp (arguments.id, "0") != 0;
  if (parsed == NULL)
    fail (action, ERROR_INVALID_CRITERIA);
  else if (!read_sort (arguments.sort, &sort))
    fail (action, ERROR_INVALID_SORT);
  else if (!search_below (self, arguments.id, &search, 0, found, &error))
    fail (action,
          code_of (error) == ERROR_NO_SUCH_OBJECT ? ERROR_NO_SUCH_CONTAINER : ERROR_CANNOT_PROCESS);
  else
    answer_page (self, action, &arguments, found, sort);
}

static void
answer_text (GUPnPServiceAction *action, const char *name, const char *text)
{
  gupnp_service_action_set (action, name, G_TYPE_STRING, text, NULL);
  gupnp_service_action_return_success (action);
}

static void
on_search_capabilities (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  answer_text (action, "SearchCaps", DLNA_SEARCH_CAPABILITIES);
}

static void
on_sort_capabilities (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  answer_text (action, "SortCaps", "dc:title");
}

/* Samsung sets ask for it, and those that get an error do not play. What they need of it is the
 * container that their "videos" is to show. */
static void
on_feature_list (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  answer_text (action, "FeatureList",
               "<Features xmlns=\"urn:schemas-upnp-org:av:avs\" "
               "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
               "xsi:schemaLocation=\"urn:schemas-upnp-org:av:avs "
               "http://www.upnp.org/schemas/av/avs.xsd\">"
               "<Feature name=\"samsung.com_BASICVIEW\" version=\"1\">"
               "<container id=\"0\" type=\"object.item.videoItem\"/></Feature></Features>");
}

/* Where a Samsung set stopped. Some of its series count milliseconds: what lies behind the end of the
 * item is one of those. */
static void
on_set_bookmark (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  DlnaContentDirectory *self = data;
  g_autofree char *id = take_argument (action, "ObjectID");
  g_autofree char *position = take_argument (action, "PosSecond");
  g_autoptr (GError) error = NULL;
  g_autoptr (DlnaItem) item = NULL;
  guint32 number;
  int64_t time;

  if (id == NULL || !read_number (position, &number)) {
    fail (action, ERROR_INVALID_ARGS);
    return;
  }
  item = dlna_library_lookup (self->library, id, &error);
  if (item == NULL) {
    fail (action, code_of (error));
    return;
  }
  time = (int64_t)number * G_USEC_PER_SEC;
  if (item->duration > 0 && time > item->duration)
    time /= 1000;
  dlna_library_stopped (self->library, item->ref_id != NULL ? item->ref_id : item->id, time);
  gupnp_service_action_return_success (action);
}

static void
on_system_update_id (GUPnPService *service, GUPnPServiceAction *action, gpointer data)
{
  DlnaContentDirectory *self = data;

  gupnp_service_action_set (action, "Id", G_TYPE_UINT, dlna_library_update_id (self->library, NULL),
                            NULL);
  gupnp_service_action_return_success (action);
}

static void
on_query (GUPnPService *service, const char *variable, GValue *value, gpointer data)
{
  DlnaContentDirectory *self = data;

  if (strcmp (variable, "SystemUpdateID") == 0) {
    g_value_init (value, G_TYPE_UINT);
    g_value_set_uint (value, dlna_library_update_id (self->library, NULL));
    return;
  }
  g_value_init (value, G_TYPE_STRING);
  if (strcmp (variable, "ContainerUpdateIDs") == 0)
    g_value_set_string (value, self->told);
  else if (strcmp (variable, "SearchCapabilities") == 0)
    g_value_set_static_string (value, DLNA_SEARCH_CAPABILITIES);
  else if (strcmp (variable, "SortCapabilities") == 0)
    g_value_set_static_string (value, "dc:title");
  else
    g_value_set_static_string (value, "");
}

/* "id,7,other,9": a comma in an ID is escaped (section 2.5.4). */
static char *
list_changes (GHashTable *changed)
{
  g_autoptr (GString) out = g_string_new (NULL);
  GHashTableIter i;
  gpointer key, value;

  g_hash_table_iter_init (&i, changed);
  while (g_hash_table_iter_next (&i, &key, &value)) {
    if (out->len > 0)
      g_string_append_c (out, ',');
    for (const char *p = key; *p != '\0'; p++) {
      if (*p == ',' || *p == '\\')
        g_string_append_c (out, '\\');
      g_string_append_c (out, *p);
    }
    g_string_append_printf (out, ",%u", GPOINTER_TO_UINT (value));
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

static gboolean
tell_changes (gpointer data)
{
  DlnaContentDirectory *self = data;

  if (!self->pending) {
    self->moderation = 0;
    return G_SOURCE_REMOVE;
  }
  self->pending = false;
  g_free (self->told);
  self->told = list_changes (self->changed);
  g_hash_table_remove_all (self->changed);
  gupnp_service_freeze_notify (self->service); /* both in one event */
  gupnp_service_notify (self->service, "SystemUpdateID", G_TYPE_UINT,
                        dlna_library_update_id (self->library, NULL), "ContainerUpdateIDs",
                        G_TYPE_STRING, self->told, NULL);
  gupnp_service_thaw_notify (self->service);
  return G_SOURCE_CONTINUE;
}

static void
on_changed (DlnaLibrary *library, const char *id, gpointer data)
{
  DlnaContentDirectory *self = data;

  /* past the limit the SystemUpdateID alone tells of it */
  if (id != NULL && (g_hash_table_contains (self->changed, id) ||
                     g_hash_table_size (self->changed) < MAX_CONTAINERS))
    g_hash_table_insert (self->changed, g_strdup (id),
                         GUINT_TO_POINTER (dlna_library_update_id (library, id)));
  self->pending = true;
  if (self->moderation == 0) {
    self->moderation = g_timeout_add (MODERATION_MS, tell_changes, self);
    tell_changes (self);
  }
}

DlnaContentDirectory *
dlna_content_directory_new (GUPnPService *service, DlnaLibrary *library, const DlnaQuirks *quirks,
                            const char *base)
{
  static const struct {
    const char *action;
    GCallback handler;
  } actions[] = {
      {"action-invoked::Browse", G_CALLBACK (on_browse)},
      {"action-invoked::Search", G_CALLBACK (on_search)},
      {"action-invoked::GetSearchCapabilities", G_CALLBACK (on_search_capabilities)},
      {"action-invoked::GetSortCapabilities", G_CALLBACK (on_sort_capabilities)},
      {"action-invoked::GetSystemUpdateID", G_CALLBACK (on_system_update_id)},
      {"action-invoked::X_GetFeatureList", G_CALLBACK (on_feature_list)},
      {"action-invoked::X_SetBookmark", G_CALLBACK (on_set_bookmark)},
      {"query-variable", G_CALLBACK (on_query)},
  };
  DlnaContentDirectory *self = g_new0 (DlnaContentDirectory, 1);

  self->service = g_object_ref (service);
  self->library = g_object_ref (library);
  self->quirks = quirks;
  self->base = g_strdup (base);
  self->changed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->told = g_strdup ("");
  for (size_t i = 0; i < G_N_ELEMENTS (actions); i++)
    g_signal_connect (service, actions[i].action, actions[i].handler, self);
  g_signal_connect (library, "changed", G_CALLBACK (on_changed), self);
  return self;
}

void
dlna_content_directory_free (DlnaContentDirectory *self)
{
  if (self == NULL)
    return;
  if (self->moderation != 0)
    g_source_remove (self->moderation);
  g_signal_handlers_disconnect_by_data (self->service, self);
  g_signal_handlers_disconnect_by_data (self->library, self);
  g_object_unref (self->service);
  g_object_unref (self->library);
  g_hash_table_unref (self->changed);
  g_free (self->base);
  g_free (self->told);
  g_free (self);
}
