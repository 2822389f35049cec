/* SPDX-License-Identifier: Apache-2.0 */
/* Memory is what the gateway works with; the database is how it remembers. All rows are read at
 * the start (some 20 ms for 10,000), and each change goes to both. A write that fails changes
 * nothing for the viewers: it is told once, and tried again with the next change.
 *
 * WAL with synchronous=NORMAL: after kill -9 all that was committed is there; after a power cut the
 * last changes may be missing, but the file is whole. */
#include "proxy/catalog.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

#define SCHEMA_VERSION 3
#define GONE_DAYS 30 /* a channel that no list names is forgotten after this */
#define RETRY (60 * G_USEC_PER_SEC)
#define STOPPED_PAUSE_S 60 /* a set that reads by pieces stops with each */

typedef enum { SHOWN = 0, HIDDEN = 1, GONE = 2 } State;

typedef struct {
  ProxyChannel channel; /* first: a channel is an entry */
  State state;
  unsigned pass;
  bool unwritten;
  int64_t stopped_written; /* us, monotonic; 0 = not since the start */
} Entry;

typedef enum { INSERT, DELETE, N_STATEMENTS } Statement;

struct ProxyCatalog {
  sqlite3 *db; /* NULL = memory only */
  char *path;
  sqlite3_stmt *statements[N_STATEMENTS];
  char *trouble;
  GHashTable *by_id;    /* -> Entry, owned by by_swarm */
  GHashTable *by_swarm; /* -> Entry */
  GPtrArray *list;      /* NULL = to be made anew */
  uint32_t generation;
  unsigned pass;
  unsigned batch;
  bool in_transaction;
  bool batch_changed;
  int64_t last_try; /* us: to open a database that could not be opened */
  guint flush;      /* writes where films were stopped since they were written; 0 = none were */
  ProxyCatalogFunc func;
  gpointer data;
};

static const char *const sql[N_STATEMENTS] = {
    [INSERT] = "INSERT OR REPLACE INTO channel (swarm, id, link, name, logo, grp, source, number,"
               " added, state, seen, mime, live, length, media, favourite, stopped)"
               " VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
    [DELETE] = "DELETE FROM channel WHERE swarm = ?1",
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  ProxyChannel *channel = &entry->channel;
  g_free (channel->id);
  g_free (channel->swarm_id);
  g_free (channel->link);
  g_free (channel->name);
  g_free (channel->logo);
  g_free (channel->group);
  g_free (channel->source);
  g_free (channel->mime);
  g_free (channel->media);
  g_free (entry);
}

static int64_t
unix_time (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

static void
set_trouble (ProxyCatalog *self, const char *what)
{
  if (self->trouble)
    return;
  self->trouble = g_strdup_printf ("%s: %s", self->path, what);
  g_warning ("channel catalog %s; channels are kept in memory and are lost at the next start. "
             "Check the free space and the rights of the state folder.",
             self->trouble);
}

/* --- the database --- */

static void
close_database (ProxyCatalog *self)
{
  for (int i = 0; i < N_STATEMENTS; i++)
    g_clear_pointer (&self->statements[i], sqlite3_finalize);
  g_clear_pointer (&self->db, sqlite3_close);
  self->in_transaction = false;
}

static bool
run (sqlite3 *db, const char *text)
{
  return sqlite3_exec (db, text, NULL, NULL, NULL) == SQLITE_OK;
}

/* The first column of the first row as text, or NULL. */
static char *
ask (sqlite3 *db, const char *text)
{
  sqlite3_stmt *statement = NULL;
  char *answer = NULL;
  if (sqlite3_prepare_v2 (db, text, -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step (statement) == SQLITE_ROW)
    answer = g_strdup ((const char *)sqlite3_column_text (statement, 0));
  sqlite3_finalize (statement);
  return answer;
}

static int
version_of (sqlite3 *db)
{
  g_autofree char *version = ask (db, "PRAGMA user_version");
  return version ? atoi (version) : 0;
}

static bool
make_schema (sqlite3 *db)
{
  return run (db, "BEGIN;"
                  "CREATE TABLE channel (swarm TEXT PRIMARY KEY NOT NULL, id TEXT NOT NULL UNIQUE,"
                  " link TEXT NOT NULL, name TEXT NOT NULL, logo TEXT, grp TEXT,"
                  " source TEXT NOT NULL, number INTEGER NOT NULL, added INTEGER NOT NULL,"
                  " state INTEGER NOT NULL, seen INTEGER NOT NULL, mime TEXT NOT NULL,"
                  " live INTEGER NOT NULL, length INTEGER NOT NULL, media TEXT,"
                  " favourite INTEGER NOT NULL DEFAULT 0,"
                  " stopped INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
                  "PRAGMA user_version = 3;"
                  "COMMIT");
}

/* What an older version of ours has written becomes what we write. */
static bool
renew_schema (sqlite3 *db, int version)
{
  return run (db, "BEGIN") &&
         (version >= 2 ||
          run (db, "ALTER TABLE channel ADD COLUMN favourite INTEGER NOT NULL DEFAULT 0")) &&
         run (db, "ALTER TABLE channel ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;"
                  "PRAGMA user_version = 3;"
                  "COMMIT");
}

typedef enum { OPENED, DAMAGED, NEWER, UNWRITABLE } OpenResult;

static OpenResult
open_database (const char *path, sqlite3 **out)
{
  sqlite3 *db = NULL;
  int code = sqlite3_open_v2 (path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
  *out = db;
  if (code != SQLITE_OK)
    return UNWRITABLE;
  sqlite3_busy_timeout (db, 1000);
  g_autofree char *check = ask (db, "PRAGMA quick_check(1)");
  if (g_strcmp0 (check, "ok") != 0) {
    code = sqlite3_errcode (db);
    return check || code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? DAMAGED : UNWRITABLE;
  }
  int n = version_of (db);
  if (n > SCHEMA_VERSION)
    return NEWER;
  if (!run (db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256;"
                "PRAGMA journal_size_limit=1048576; PRAGMA wal_autocheckpoint=200"))
    return UNWRITABLE;
  if (n == 0) {
    g_autofree char *tables = ask (db, "SELECT count(*) FROM sqlite_schema");
    if (g_strcmp0 (tables, "0") != 0)
      return DAMAGED; /* some other program's file */
    if (!make_schema (db))
      return UNWRITABLE;
  }
  if (n > 0 && n < SCHEMA_VERSION && !renew_schema (db, n)) {
    run (db, "ROLLBACK");
    return UNWRITABLE;
  }
  /* Now rather than with the first channel: may we write? */
  return run (db, "BEGIN IMMEDIATE; COMMIT") ? OPENED : UNWRITABLE;
}

static void
move_file (const char *path, const char *end, const char *suffix)
{
  g_autofree char *from = g_strconcat (path, end, NULL);
  g_autofree char *to = g_strconcat (path, suffix, end, NULL);
  if (g_rename (from, to) != 0 && errno != ENOENT)
    g_unlink (from);
}

static void
set_aside (const char *path, const char *why)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *time = g_date_time_format (now, "%Y%m%dT%H%M%SZ");
  g_autofree char *suffix = g_strdup_printf (".%s-%s", why, time);
  for (int i = 1; i < 100; i++) { /* two within one second */
    g_autofree char *name = g_strconcat (path, suffix, NULL);
    if (!g_file_test (name, G_FILE_TEST_EXISTS))
      break;
    g_free (suffix);
    suffix = g_strdup_printf (".%s-%s-%d", why, time, i);
  }
  move_file (path, "", suffix);
  move_file (path, "-wal", suffix);
  move_file (path, "-shm", suffix);
  g_warning ("the channel catalog %s is %s; it now lies at %s%s, and a new one begins. The lists "
             "fill it again; channels added by hand must be added again.",
             path, g_str_equal (why, "damaged") ? "damaged" : "of a newer version", path, suffix);
}

static char *
column (sqlite3_stmt *statement, int i)
{
  return g_strdup ((const char *)sqlite3_column_text (statement, i));
}

static void
add_entry (ProxyCatalog *self, Entry *entry)
{
  g_hash_table_insert (self->by_swarm, entry->channel.swarm_id, entry);
  g_hash_table_insert (self->by_id, entry->channel.id, entry);
}

/* false = the file is damaged after all. */
static bool
load (ProxyCatalog *self, sqlite3 *db)
{
  sqlite3_stmt *statement = NULL;
  int version = version_of (db);
  g_autofree char *text =
      g_strdup_printf ("SELECT swarm, id, link, name, logo, grp, source, number, added, state,"
                       " mime, live, length, media, %s, %s FROM channel WHERE state <> %d OR seen "
                       "> %" G_GINT64_FORMAT " LIMIT %d",
                       version >= 2 ? "favourite" : "0", version >= 3 ? "stopped" : "0", GONE,
                       unix_time () - GONE_DAYS * 86400, PROXY_CATALOG_MAX);
  if (sqlite3_prepare_v2 (db, text, -1, &statement, NULL) != SQLITE_OK)
    return false;
  int code;
  while ((code = sqlite3_step (statement)) == SQLITE_ROW) {
    Entry *entry = g_new0 (Entry, 1);
    ProxyChannel *channel = &entry->channel;
    channel->swarm_id = column (statement, 0);
    channel->id = column (statement, 1);
    channel->link = column (statement, 2);
    channel->name = column (statement, 3);
    channel->logo = column (statement, 4);
    channel->group = column (statement, 5);
    channel->source = column (statement, 6);
    channel->number = sqlite3_column_int (statement, 7);
    channel->added = sqlite3_column_int64 (statement, 8);
    channel->mime = column (statement, 10);
    channel->live = sqlite3_column_int (statement, 11) != 0;
    channel->length = sqlite3_column_int64 (statement, 12);
    channel->media = column (statement, 13);
    channel->favourite = sqlite3_column_int (statement, 14) != 0;
    channel->stopped = sqlite3_column_int64 (statement, 15);
    entry->state = (State)CLAMP (sqlite3_column_int (statement, 9), SHOWN, GONE);
    add_entry (self, entry);
  }
  sqlite3_finalize (statement);
  return code == SQLITE_DONE;
}

static void
forget_all (ProxyCatalog *self)
{
  g_hash_table_remove_all (self->by_id);
  g_hash_table_remove_all (self->by_swarm);
}

/* What can still be read of a file that we may not write. */
static void
load_read_only (ProxyCatalog *self)
{
  g_autofree char *escaped = g_uri_escape_string (self->path, "/", FALSE);
  g_autofree char *uri = g_strdup_printf ("file:%s?immutable=1", escaped);
  sqlite3 *db = NULL;
  if (sqlite3_open_v2 (uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK)
    load (self, db);
  sqlite3_close (db);
}

static void
open_file (ProxyCatalog *self, bool again)
{
  sqlite3 *db = NULL;
  OpenResult result = open_database (self->path, &db);
  if (result == OPENED && !load (self, db))
    result = DAMAGED;
  if (result == OPENED) {
    self->db = db;
    g_autofree char *forget =
        g_strdup_printf ("DELETE FROM channel WHERE state = %d AND seen <= %" G_GINT64_FORMAT, GONE,
                         unix_time () - GONE_DAYS * 86400);
    run (db, forget);
    return;
  }
  g_autofree char *message = g_strdup (db ? sqlite3_errmsg (db) : "out of memory");
  sqlite3_close (db);
  forget_all (self);
  if (result != UNWRITABLE && !again) {
    set_aside (self->path, result == DAMAGED ? "damaged" : "newer");
    open_file (self, true);
    return;
  }
  set_trouble (self, message);
  load_read_only (self);
}

ProxyCatalog *
proxy_catalog_open (const char *path)
{
  ProxyCatalog *self = g_new0 (ProxyCatalog, 1);
  self->path = g_strdup (path);
  self->by_id = g_hash_table_new (g_str_hash, g_str_equal);
  self->by_swarm = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  self->generation = 1;
  if (path)
    open_file (self, false);
  return self;
}

const char *
proxy_catalog_trouble (const ProxyCatalog *self)
{
  return self->trouble;
}

static sqlite3_stmt *
prepare (ProxyCatalog *self, Statement which)
{
  if (!self->statements[which])
    sqlite3_prepare_v3 (self->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                        &self->statements[which], NULL);
  return self->statements[which];
}

static bool
step (ProxyCatalog *self, sqlite3_stmt *statement)
{
  if (!statement) {
    set_trouble (self, sqlite3_errmsg (self->db));
    return false;
  }
  int code = sqlite3_step (statement);
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  if (code == SQLITE_DONE)
    return true;
  set_trouble (self, sqlite3_errmsg (self->db));
  return false;
}

static bool
write_row (ProxyCatalog *self, const Entry *entry)
{
  const ProxyChannel *channel = &entry->channel;
  sqlite3_stmt *statement = prepare (self, INSERT);
  const char *texts[] = {channel->swarm_id, channel->id,    channel->link,  channel->name,
                         channel->logo,     channel->group, channel->source};
  for (int i = 0; statement && i < (int)G_N_ELEMENTS (texts); i++)
    sqlite3_bind_text (statement, i + 1, texts[i], -1, SQLITE_STATIC);
  sqlite3_bind_int (statement, 8, channel->number);
  sqlite3_bind_int64 (statement, 9, channel->added);
  sqlite3_bind_int (statement, 10, entry->state);
  sqlite3_bind_int64 (statement, 11, unix_time ());
  sqlite3_bind_text (statement, 12, channel->mime, -1, SQLITE_STATIC);
  sqlite3_bind_int (statement, 13, channel->live);
  sqlite3_bind_int64 (statement, 14, channel->length);
  sqlite3_bind_text (statement, 15, channel->media, -1, SQLITE_STATIC);
  sqlite3_bind_int (statement, 16, channel->favourite);
  sqlite3_bind_int64 (statement, 17, channel->stopped);
  return step (self, statement);
}

static void
clear_trouble (ProxyCatalog *self)
{
  if (!self->trouble)
    return;
  g_message ("channel catalog %s can be written again", self->path);
  g_clear_pointer (&self->trouble, g_free);
}

/* The disk was full at the start; perhaps it is not any more. */
static void
try_again (ProxyCatalog *self)
{
  int64_t now = g_get_monotonic_time ();
  if (!self->path || now - self->last_try < RETRY)
    return;
  self->last_try = now;
  sqlite3 *db = NULL;
  if (open_database (self->path, &db) == OPENED)
    self->db = db;
  else
    sqlite3_close (db);
}

/* false = one of them could not be written. */
static bool
write_unwritten (ProxyCatalog *self)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->by_swarm);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Entry *entry = value;
    if (entry->unwritten && !write_row (self, entry))
      return false;
    entry->unwritten = false;
  }
  return true;
}

/* Writes the entry, and those that could not be written before. */
static void
save (ProxyCatalog *self, Entry *entry)
{
  entry->unwritten = true;
  if (!self->db)
    try_again (self);
  if (!self->db)
    return;
  bool troubled = self->trouble != NULL;
  entry->unwritten = !write_row (self, entry);
  if (troubled && !entry->unwritten && write_unwritten (self))
    clear_trouble (self);
}

void
proxy_catalog_close (ProxyCatalog *self)
{
  if (!self)
    return;
  g_clear_handle_id (&self->flush, g_source_remove);
  if (self->db)
    write_unwritten (self);
  if (self->in_transaction)
    run (self->db, "COMMIT");
  close_database (self);
  g_clear_pointer (&self->list, g_ptr_array_unref);
  g_hash_table_unref (self->by_id);
  g_hash_table_unref (self->by_swarm);
  g_free (self->trouble);
  g_free (self->path);
  g_free (self);
}

/* --- changes --- */

static void
changed (ProxyCatalog *self)
{
  g_clear_pointer (&self->list, g_ptr_array_unref);
  self->generation++;
  if (self->batch > 0)
    self->batch_changed = true;
  else if (self->func)
    self->func (self->data);
}

void
proxy_catalog_begin (ProxyCatalog *self)
{
  if (self->batch++ == 0 && self->db)
    self->in_transaction = run (self->db, "BEGIN IMMEDIATE");
}

/* A commit that failed (a full disk) has written nothing of the batch. */
static void
mark_unwritten (ProxyCatalog *self)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->by_swarm);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    ((Entry *)value)->unwritten = true;
}

void
proxy_catalog_commit (ProxyCatalog *self)
{
  if (--self->batch > 0)
    return;
  if (self->in_transaction && !run (self->db, "COMMIT")) {
    set_trouble (self, sqlite3_errmsg (self->db));
    run (self->db, "ROLLBACK");
    mark_unwritten (self);
  }
  self->in_transaction = false;
  if (!self->batch_changed)
    return;
  self->batch_changed = false;
  if (self->func)
    self->func (self->data);
}

char *
proxy_catalog_slug (const char *text)
{
  g_autofree char *ascii = g_str_to_ascii (text, "C");
  GString *out = g_string_new (NULL);
  for (const char *c = ascii; *c && out->len < PROXY_ID_MAX; c++) {
    if (g_ascii_isalnum (*c))
      g_string_append_c (out, g_ascii_tolower (*c));
    else if (out->len > 0 && (*c == '.' || *c == '_'))
      g_string_append_c (out, *c);
    else if (out->len > 0 && out->str[out->len - 1] != '-')
      g_string_append_c (out, '-');
  }
  while (out->len > 0 && strchr ("-._", out->str[out->len - 1]))
    g_string_truncate (out, out->len - 1);
  return g_string_free (out, out->len == 0);
}

/* A free ID: as wished, or by name, or with a hash of the swarm ID behind it. */
static char *
choose_id (const ProxyCatalog *self, const ProxyDraft *draft)
{
  char *base = draft->wish_id ? proxy_catalog_slug (draft->wish_id) : NULL;
  if (!base)
    base = proxy_catalog_slug (draft->name);
  if (!base)
    base = g_strdup ("channel");
  if (!g_hash_table_contains (self->by_id, base))
    return base;
  g_autofree char *taken = base;
  for (uint64_t seed = 0;; seed++) {
    uint64_t hash = 14695981039346656037u + seed; /* FNV-1a */
    for (const char *c = draft->swarm_id; *c; c++)
      hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    char *id =
        g_strdup_printf ("%.*s-%08x", PROXY_ID_MAX - 9, taken, (unsigned)(hash ^ hash >> 32));
    if (!g_hash_table_contains (self->by_id, id))
      return id;
    g_free (id);
  }
}

static bool
update_text (char **field, const char *text)
{
  if (g_strcmp0 (*field, text) == 0)
    return false;
  g_free (*field);
  *field = g_strdup (text);
  return true;
}

static ProxyCatalogResult
add_new (ProxyCatalog *self, const ProxyDraft *draft, Entry **out)
{
  if (g_hash_table_size (self->by_swarm) >= PROXY_CATALOG_MAX)
    return PROXY_CATALOG_FULL;
  Entry *entry = g_new0 (Entry, 1);
  entry->channel = (ProxyChannel){
      .id = choose_id (self, draft),
      .swarm_id = g_strdup (draft->swarm_id),
      .link = g_strdup (draft->link),
      .name = g_strdup (draft->name),
      .logo = g_strdup (draft->logo),
      .group = g_strdup (draft->group),
      .source = g_strdup (draft->source),
      .mime = g_strdup (draft->mime),
      .number = draft->number,
      .live = draft->live,
      .length = draft->length,
      .added = unix_time (),
  };
  entry->pass = self->pass;
  add_entry (self, entry);
  save (self, entry);
  changed (self);
  *out = entry;
  return PROXY_CATALOG_ADDED;
}

static ProxyCatalogResult
update (ProxyCatalog *self, Entry *entry, const ProxyDraft *draft)
{
  ProxyChannel *channel = &entry->channel;
  bool by_hand = draft->source[0] == '\0';
  if (entry->state == HIDDEN && !by_hand) {
    entry->pass = self->pass;
    return PROXY_CATALOG_HIDDEN;
  }
  if (entry->state == SHOWN && !g_str_equal (channel->source, draft->source))
    return PROXY_CATALOG_TAKEN;
  if (entry->state == SHOWN && entry->pass == self->pass && !by_hand && self->pass > 0)
    return PROXY_CATALOG_TAKEN; /* twice in one list: the first counts */
  bool other = entry->state != SHOWN;
  entry->state = SHOWN;
  entry->pass = self->pass;
  other |= update_text (&channel->link, draft->link);
  other |= update_text (&channel->name, draft->name);
  other |= update_text (&channel->logo, draft->logo);
  other |= update_text (&channel->group, draft->group);
  other |= update_text (&channel->source, draft->source);
  other |= update_text (&channel->mime, draft->mime);
  other |= channel->number != draft->number;
  channel->number = draft->number;
  other |= draft->length >= 0 && channel->length != draft->length;
  if (draft->length >= 0)
    channel->length = draft->length;
  if (!other)
    return PROXY_CATALOG_SAME;
  save (self, entry);
  changed (self);
  return PROXY_CATALOG_CHANGED;
}

ProxyCatalogResult
proxy_catalog_put (ProxyCatalog *self, const ProxyDraft *draft, const ProxyChannel **channel)
{
  Entry *entry = g_hash_table_lookup (self->by_swarm, draft->swarm_id);
  ProxyCatalogResult result = entry ? update (self, entry, draft) : add_new (self, draft, &entry);
  if (channel)
    *channel = entry ? &entry->channel : NULL;
  return result;
}

bool
proxy_catalog_remove (ProxyCatalog *self, const char *id)
{
  Entry *entry = g_hash_table_lookup (self->by_id, id);
  if (!entry || entry->state != SHOWN)
    return false;
  if (entry->channel.source[0] != '\0') {
    entry->state = HIDDEN;
    save (self, entry);
  } else {
    if (self->db) {
      sqlite3_stmt *statement = prepare (self, DELETE);
      if (statement)
        sqlite3_bind_text (statement, 1, entry->channel.swarm_id, -1, SQLITE_STATIC);
      step (self, statement);
    }
    g_hash_table_remove (self->by_id, entry->channel.id);
    g_hash_table_remove (self->by_swarm, entry->channel.swarm_id);
  }
  changed (self);
  return true;
}

bool
proxy_catalog_set_favourite (ProxyCatalog *self, const char *id, bool favourite)
{
  Entry *entry = g_hash_table_lookup (self->by_id, id);
  if (!entry || entry->state != SHOWN)
    return false;
  if (entry->channel.favourite != favourite) {
    entry->channel.favourite = favourite;
    save (self, entry);
    changed (self);
  }
  return true;
}

void
proxy_catalog_set_length (ProxyCatalog *self, const char *id, int64_t length)
{
  Entry *entry = g_hash_table_lookup (self->by_id, id);
  if (!entry || entry->channel.length == length)
    return;
  entry->channel.length = length;
  save (self, entry);
}

void
proxy_catalog_set_media (ProxyCatalog *self, const char *id, const char *media)
{
  Entry *entry = g_hash_table_lookup (self->by_id, id);
  if (entry && update_text (&entry->channel.media, media))
    save (self, entry);
}

/* Without it the last word of an evening is on disk only after a clean end. */
static gboolean
on_flush (gpointer data)
{
  ProxyCatalog *self = data;
  int64_t now = g_get_monotonic_time ();
  GHashTableIter iter;
  gpointer value;

  self->flush = 0;
  g_hash_table_iter_init (&iter, self->by_swarm);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Entry *)value)->unwritten)
      ((Entry *)value)->stopped_written = now;
  if (!self->db)
    try_again (self);
  if (self->db && write_unwritten (self))
    clear_trouble (self);
  self->generation++;
  return G_SOURCE_REMOVE;
}

void
proxy_catalog_set_stopped (ProxyCatalog *self, const char *id, int64_t time)
{
  Entry *entry = g_hash_table_lookup (self->by_id, id);
  int64_t now = g_get_monotonic_time ();
  if (!entry || entry->channel.stopped == time)
    return;
  entry->channel.stopped = time;
  if (self->flush > 0 && entry->unwritten)
    return;
  if (entry->stopped_written > 0 &&
      now - entry->stopped_written < STOPPED_PAUSE_S * G_USEC_PER_SEC) {
    entry->unwritten = true;
    if (self->flush == 0)
      self->flush = g_timeout_add_seconds (STOPPED_PAUSE_S, on_flush, self);
    return;
  }
  entry->stopped_written = now;
  save (self, entry);
  self->generation++;
}

void
proxy_catalog_start_pass (ProxyCatalog *self)
{
  self->pass++;
}

unsigned
proxy_catalog_sweep (ProxyCatalog *self, const char *source)
{
  unsigned n = 0;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->by_swarm);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Entry *entry = value;
    if (entry->state != SHOWN || entry->pass == self->pass ||
        !g_str_equal (entry->channel.source, source))
      continue;
    entry->state = GONE;
    save (self, entry);
    n++;
  }
  if (n > 0)
    changed (self);
  return n;
}

void
proxy_catalog_keep_sources (ProxyCatalog *self, const char *const *sources)
{
  bool any = false;
  GHashTableIter iter;
  gpointer value;
  proxy_catalog_begin (self);
  g_hash_table_iter_init (&iter, self->by_swarm);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    Entry *entry = value;
    if (entry->state != SHOWN || entry->channel.source[0] == '\0' ||
        (sources && g_strv_contains (sources, entry->channel.source)))
      continue;
    entry->state = GONE;
    save (self, entry);
    any = true;
  }
  if (any)
    changed (self);
  proxy_catalog_commit (self);
}

/* --- questions --- */

const ProxyChannel *
proxy_catalog_lookup (ProxyCatalog *self, const char *id)
{
  const Entry *entry = g_hash_table_lookup (self->by_id, id);
  return entry && entry->state == SHOWN ? &entry->channel : NULL;
}

const ProxyChannel *
proxy_catalog_lookup_swarm (ProxyCatalog *self, const char *swarm_id)
{
  const Entry *entry = g_hash_table_lookup (self->by_swarm, swarm_id);
  return entry && entry->state == SHOWN ? &entry->channel : NULL;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  const ProxyChannel *first = *(const ProxyChannel *const *)a;
  const ProxyChannel *second = *(const ProxyChannel *const *)b;
  if (first->number != second->number) {
    if (first->number == 0 || second->number == 0)
      return first->number == 0 ? 1 : -1;
    return first->number < second->number ? -1 : 1;
  }
  int by_name = g_utf8_collate (first->name, second->name);
  return by_name != 0 ? by_name : strcmp (first->id, second->id);
}

const GPtrArray *
proxy_catalog_list (ProxyCatalog *self)
{
  if (self->list)
    return self->list;
  self->list = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, self->by_swarm);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Entry *)value)->state == SHOWN)
      g_ptr_array_add (self->list, &((Entry *)value)->channel);
  g_ptr_array_sort (self->list, compare);
  return self->list;
}

uint32_t
proxy_catalog_generation (const ProxyCatalog *self)
{
  return self->generation;
}

void
proxy_catalog_set_func (ProxyCatalog *self, ProxyCatalogFunc func, gpointer data)
{
  self->func = func;
  self->data = data;
}
