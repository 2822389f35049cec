/* SPDX-License-Identifier: Apache-2.0 */
/* Prefixes nest, so that all of them together are a row of borders: from each address on, up to the
 * next, the longest prefix is the same. A question is one binary search.
 *
 *   10.0.0.0/8 A, 10.1.0.0/16 B  -->  ..0 none | 10.0.0.0 A | 10.1.0.0 B | 10.2.0.0 A | 11.0.0.0 none
 *
 * A place is 4,096 times the generation and the number of a name; those above all of these are a hash of a
 * prefix. */
#include "peer/tracker/places.h"

#include "peer/address.h"
#include "peer/tracker/table.h"
#include "peer/tracker/tree.h"

#include <math.h>
#include <string.h>

#define NONE UINT16_MAX
#define MAX_DEPTH 8

typedef struct {
  uint64_t high, low;
} Number;

typedef struct {
  Number first, last;
  uint8_t bits;
  uint16_t place;
} Prefix;

typedef struct {
  Number from;
  uint16_t place;
} Border;

struct TrackerPlaces {
  GPtrArray *names;
  GHashTable *by_name; /* -> place + 1 */
  GArray *prefixes;    /* Prefix, until they are settled */
  GArray *borders;     /* Border */
  uint16_t *costs;     /* from * n + to; NULL = none are known */
  uint32_t n_costs;
  uint16_t (*near)[TRACKER_PLACES_NEAR];
  uint16_t base; /* place of the first name */
};

static Number
number_of (const uint8_t ip[16])
{
  Number out;
  memcpy (&out.high, ip, 8);
  memcpy (&out.low, ip + 8, 8);
  return (Number){GUINT64_FROM_BE (out.high), GUINT64_FROM_BE (out.low)};
}

static int
compare (Number a, Number b)
{
  if (a.high != b.high)
    return a.high < b.high ? -1 : 1;
  return a.low < b.low ? -1 : a.low > b.low;
}

/* The bits behind the prefix. */
static Number
rest_of (unsigned bits)
{
  return (Number){bits >= 64 ? 0 : UINT64_MAX >> bits,
                  bits >= 128 ? 0 : UINT64_MAX >> (bits > 64 ? bits - 64 : 0)};
}

TrackerPlaces *
tracker_places_new (void)
{
  TrackerPlaces *self = g_new0 (TrackerPlaces, 1);
  self->names = g_ptr_array_new_with_free_func (g_free);
  self->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  self->prefixes = g_array_new (FALSE, FALSE, sizeof (Prefix));
  self->borders = g_array_new (FALSE, FALSE, sizeof (Border));
  return self;
}

void
tracker_places_free (TrackerPlaces *self)
{
  g_hash_table_unref (self->by_name);
  g_ptr_array_unref (self->names);
  g_array_unref (self->prefixes);
  g_array_unref (self->borders);
  g_free (self->costs);
  g_free (self->near);
  g_free (self);
}

static bool
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, g_quark_from_static_string ("tracker-places"), 1, text);
  return false;
}

/* NONE = there are too many. */
static uint16_t
place_named (TrackerPlaces *self, const char *name)
{
  guint known = GPOINTER_TO_UINT (g_hash_table_lookup (self->by_name, name));
  if (known != 0)
    return (uint16_t)(known - 1);
  if (self->names->len == TRACKER_PLACES_MAX)
    return NONE;
  g_ptr_array_add (self->names, g_strdup (name));
  g_hash_table_insert (self->by_name, g_ptr_array_index (self->names, self->names->len - 1),
                       GUINT_TO_POINTER (self->names->len));
  return (uint16_t)(self->names->len - 1);
}

static bool
add_prefix (TrackerPlaces *self, const char *text, uint16_t place, GError **error)
{
  const char *slash = strchr (text, '/');
  g_autofree char *ip = slash != NULL ? g_strndup (text, (gsize)(slash - text)) : g_strdup (text);
  PeerAddress address = {0};
  guint64 bits;
  if (!peer_address_parse_ip (ip, 1, &address))
    return refuse (error, "no prefix of addresses, as 192.0.2.0/24 or 2001:db8::/32");
  bool v4 = peer_address_is_v4 (&address) && strchr (ip, ':') == NULL;
  bits = v4 ? 32 : 128;
  if (slash != NULL && !g_ascii_string_to_unsigned (slash + 1, 10, 0, bits, &bits, NULL))
    return refuse (error, "a prefix has at most 32 bits of IPv4, 128 of IPv6");
  if (self->prefixes->len == TRACKER_PLACES_MAX_PREFIXES)
    return refuse (error, "more prefixes than 2,000,000");
  unsigned length = (unsigned)bits + (v4 ? 96 : 0);
  Number first = number_of (address.ip), rest = rest_of (length);
  Prefix prefix = {.bits = (uint8_t)length, .place = place};
  prefix.first = (Number){first.high & ~rest.high, first.low & ~rest.low};
  prefix.last = (Number){first.high | rest.high, first.low | rest.low};
  g_array_append_val (self->prefixes, prefix);
  return true;
}

static bool
read_line (TrackerPlaces *self, char *line, GError **error)
{
  line[strcspn (line, "#")] = 0;
  g_strstrip (line);
  if (*line == 0)
    return true;
  char *name = line + strcspn (line, " \t");
  if (*name == 0)
    return refuse (error, "expected PREFIX NAME");
  *name++ = 0;
  g_strchug (name);
  uint16_t place = place_named (self, name);
  if (place == NONE)
    return refuse (error, "more names than 4,096");
  return add_prefix (self, line, place, error);
}

bool
tracker_places_read_table (TrackerPlaces *self, const char *text, GError **error)
{
  for (unsigned number = 1; *text != 0; number++) {
    size_t n = strcspn (text, "\n");
    g_autofree char *line = g_strndup (text, n);
    if (!read_line (self, line, error)) {
      g_prefix_error (error, "line %u: ", number);
      return false;
    }
    text += n + (text[n] == '\n');
  }
  return true;
}

/* --- ALTO ---------------------------------------------------------------------------------- */

static bool
read_addresses (TrackerPlaces *self, const TrackerNode *groups, uint16_t place, GError **error)
{
  static const char *const families[] = {"ipv4", "ipv6"};
  for (unsigned i = 0; i < G_N_ELEMENTS (families); i++) {
    const TrackerNode *list = tracker_node_member (groups, families[i]);
    for (const TrackerNode *node = list != NULL ? list->first : NULL; node != NULL;
         node = node->next)
      if (node->type != TRACKER_NODE_STRING)
        return refuse (error, "a prefix that is no text");
      else if (!add_prefix (self, node->text, place, error))
        return false;
  }
  return true;
}

bool
tracker_places_read_network_map (TrackerPlaces *self, const char *text, size_t n, GError **error)
{
  g_autofree TrackerNode *root = tracker_tree_read (text, n, MAX_DEPTH);
  const TrackerNode *map = tracker_node_member (root, "network-map");
  if (map == NULL || map->type != TRACKER_NODE_OBJECT)
    return refuse (error, "not an ALTO network map");
  for (const TrackerNode *pid = map->first; pid != NULL; pid = pid->next) {
    uint16_t place = place_named (self, pid->name);
    if (place == NONE)
      return refuse (error, "more PIDs than 4,096");
    if (!read_addresses (self, pid, place, error))
      return false;
  }
  return true;
}

static const char *
text_of (const TrackerNode *object, const char *name)
{
  const TrackerNode *node = tracker_node_member (object, name);
  return node != NULL && node->type == TRACKER_NODE_STRING ? node->text : NULL;
}

static bool
lists (const TrackerNode *list, const char *text)
{
  for (const TrackerNode *node = list != NULL ? list->first : NULL; node != NULL; node = node->next)
    if (node->type == TRACKER_NODE_STRING && strcmp (node->text, text) == 0)
      return true;
  return false;
}

/* 0 = no map of what a way costs; 2 = one in numbers. */
static int
judge_costs (const TrackerNode *types, const TrackerNode *resource)
{
  const TrackerNode *names =
      tracker_node_member (tracker_node_member (resource, "capabilities"), "cost-type-names");
  int best = 0;
  for (const TrackerNode *name = names != NULL ? names->first : NULL; name != NULL;
       name = name->next) {
    const TrackerNode *type =
        name->type == TRACKER_NODE_STRING ? tracker_node_member (types, name->text) : NULL;
    if (g_strcmp0 (text_of (type, "cost-metric"), "routingcost") == 0)
      best = MAX (best, g_strcmp0 (text_of (type, "cost-mode"), "numerical") == 0 ? 2 : 1);
  }
  return best;
}

static bool
is_map (const TrackerNode *resource, const char *type)
{
  return g_strcmp0 (text_of (resource, "media-type"), type) == 0 &&
         text_of (resource, "uri") != NULL;
}

bool
tracker_places_read_directory (const char *text, size_t n, char **network, char **costs)
{
  g_autofree TrackerNode *root = tracker_tree_read (text, n, MAX_DEPTH);
  const TrackerNode *meta = tracker_node_member (root, "meta");
  const TrackerNode *resources = tracker_node_member (root, "resources");
  const TrackerNode *types = tracker_node_member (meta, "cost-types");
  const char *wanted = text_of (meta, "default-alto-network-map");
  const TrackerNode *map = NULL;
  int best = 0;
  *network = *costs = NULL;
  if (resources == NULL || resources->type != TRACKER_NODE_OBJECT)
    return false;
  for (const TrackerNode *node = resources->first; node != NULL; node = node->next)
    if (is_map (node, "application/alto-networkmap+json") &&
        (map == NULL || g_strcmp0 (node->name, wanted) == 0))
      map = node;
  if (map == NULL)
    return false;
  *network = g_strdup (text_of (map, "uri"));
  for (const TrackerNode *node = resources->first; node != NULL; node = node->next) {
    if (!is_map (node, "application/alto-costmap+json") ||
        !lists (tracker_node_member (node, "uses"), map->name))
      continue;
    int worth = judge_costs (types, node);
    if (worth <= best)
      continue;
    best = worth;
    g_free (*costs);
    *costs = g_strdup (text_of (node, "uri"));
  }
  return true;
}

/* A cost is any JSON number from 0 on; -1 = none. */
static double
cost_of (const TrackerNode *node)
{
  char text[40];
  if (node->type != TRACKER_NODE_NUMBER || node->n >= sizeof text)
    return -1;
  memcpy (text, node->text, node->n);
  text[node->n] = 0;
  double cost = g_ascii_strtod (text, NULL);
  return cost >= 0 && isfinite (cost) ? cost : -1;
}

static uint16_t
known_place (const TrackerPlaces *self, const char *name)
{
  guint known = GPOINTER_TO_UINT (g_hash_table_lookup (self->by_name, name));
  return known != 0 ? (uint16_t)(known - 1) : NONE;
}

/* What is a long way and what is none is the provider's to say: its dearest way is as far as one that
 * it does not name. */
static void
scale_costs (TrackerPlaces *self, const TrackerNode *map, double most)
{
  for (const TrackerNode *row = map->first; row != NULL; row = row->next) {
    uint16_t from = known_place (self, row->name);
    for (const TrackerNode *cell = row->first; cell != NULL && from != NONE; cell = cell->next) {
      uint16_t to = cell->name != NULL ? known_place (self, cell->name) : NONE;
      double cost = cost_of (cell);
      if (to != NONE && cost >= 0)
        self->costs[from * self->n_costs + to] =
            (uint16_t)(most > 0 ? cost / most * (TRACKER_PLACES_FAR - 1) : 0);
    }
  }
}

bool
tracker_places_read_cost_map (TrackerPlaces *self, const char *text, size_t n, GError **error)
{
  g_autofree TrackerNode *root = tracker_tree_read (text, n, MAX_DEPTH);
  const TrackerNode *map = tracker_node_member (root, "cost-map");
  double most = 0;
  if (map == NULL || map->type != TRACKER_NODE_OBJECT)
    return refuse (error, "not an ALTO cost map");
  for (const TrackerNode *row = map->first; row != NULL; row = row->next)
    for (const TrackerNode *cell = row->first; cell != NULL; cell = cell->next)
      most = MAX (most, cost_of (cell));
  size_t n_costs = self->names->len;
  g_free (self->costs);
  self->n_costs = (uint32_t)n_costs;
  self->costs = g_new (uint16_t, n_costs * n_costs);
  for (size_t i = 0; i < n_costs * n_costs; i++)
    self->costs[i] = i % (n_costs + 1) == 0 ? 0 : TRACKER_PLACES_FAR;
  scale_costs (self, map, most);
  return true;
}

/* --- settling ------------------------------------------------------------------------------ */

static gint
by_first (gconstpointer a, gconstpointer b)
{
  const Prefix *x = a, *y = b;
  int order = compare (x->first, y->first);
  return order != 0 ? order : (gint)x->bits - (gint)y->bits;
}

static void
add_border (TrackerPlaces *self, Number from, uint16_t place)
{
  if (self->borders->len > 0) {
    Border *last = &g_array_index (self->borders, Border, self->borders->len - 1);
    if (compare (last->from, from) == 0) {
      last->place = place;
      return;
    }
    if (last->place == place)
      return;
  }
  Border border = {from, place};
  g_array_append_val (self->borders, border);
}

/* Those that end before `first` are over; where each ends, the one around it goes on. */
static void
end_before (TrackerPlaces *self, GArray *open, const Number *first)
{
  while (open->len > 0) {
    Prefix inner = g_array_index (open, Prefix, open->len - 1);
    if (first != NULL && compare (inner.last, *first) >= 0)
      return;
    g_array_set_size (open, open->len - 1);
    Number after = {inner.last.high + (inner.last.low == UINT64_MAX), inner.last.low + 1};
    if (after.high == 0 && after.low == 0)
      continue; /* behind the last address */
    add_border (self, after,
                open->len > 0 ? g_array_index (open, Prefix, open->len - 1).place : NONE);
  }
}

static void
find_near (TrackerPlaces *self)
{
  g_free (self->near);
  self->near = g_malloc (MAX (1, self->n_costs) * sizeof *self->near);
  for (uint32_t from = 0; from < self->n_costs; from++) {
    uint16_t *near = self->near[from];
    const uint16_t *costs = self->costs + (size_t)from * self->n_costs;
    for (unsigned i = 0; i < TRACKER_PLACES_NEAR; i++)
      near[i] = NONE;
    for (uint32_t to = 0; to < self->n_costs; to++) {
      uint16_t place = (uint16_t)to;
      if (to == from || costs[to] >= TRACKER_PLACES_FAR)
        continue;
      for (unsigned i = 0; i < TRACKER_PLACES_NEAR; i++)
        if (near[i] == NONE || costs[place] < costs[near[i]]) {
          uint16_t farther = near[i];
          near[i] = place;
          if (farther == NONE)
            break;
          place = farther;
        }
    }
  }
}

void
tracker_places_settle (TrackerPlaces *self)
{
  g_autoptr (GArray) open = g_array_new (FALSE, FALSE, sizeof (Prefix));
  g_array_sort (self->prefixes, by_first);
  g_array_set_size (self->borders, 0);
  for (guint i = 0; i < self->prefixes->len; i++) {
    Prefix prefix = g_array_index (self->prefixes, Prefix, i);
    end_before (self, open, &prefix.first);
    add_border (self, prefix.first, prefix.place);
    g_array_append_val (open, prefix);
  }
  end_before (self, open, NULL);
  g_array_set_size (self->prefixes, 0);
  find_near (self);
}

void
tracker_places_set_generation (TrackerPlaces *self, unsigned generation)
{
  self->base = (uint16_t)(generation % TRACKER_PLACES_GENERATIONS * TRACKER_PLACES_MAX);
}

/* --- questions ----------------------------------------------------------------------------- */

static uint16_t
prefix_place (const uint8_t ip[16])
{
  PeerAddress address = {0};
  memcpy (address.ip, ip, sizeof address.ip);
  size_t n = peer_address_is_v4 (&address) ? 14 : 4;
  uint64_t hash = tracker_table_hash (ip, n);
  uint32_t named = TRACKER_PLACES_GENERATIONS * TRACKER_PLACES_MAX;
  return (uint16_t)(named + hash % (NONE - named));
}

uint16_t
tracker_places_find (const TrackerPlaces *self, const uint8_t ip[16])
{
  if (self == NULL || self->borders->len == 0)
    return prefix_place (ip);
  Number wanted = number_of (ip);
  guint low = 0, high = self->borders->len;
  while (low < high) {
    guint middle = low + (high - low) / 2;
    if (compare (g_array_index (self->borders, Border, middle).from, wanted) <= 0)
      low = middle + 1;
    else
      high = middle;
  }
  uint16_t place = low > 0 ? g_array_index (self->borders, Border, low - 1).place : NONE;
  return place != NONE ? (uint16_t)(self->base + place) : prefix_place (ip);
}

/* Of a name; more than there are, if it is of another generation, or of a prefix. */
static uint16_t
number_in (const TrackerPlaces *self, uint16_t place)
{
  return (uint16_t)(place - self->base);
}

uint32_t
tracker_places_distance (const TrackerPlaces *self, uint16_t from, uint16_t to)
{
  if (from == to)
    return 0;
  if (self == NULL)
    return TRACKER_PLACES_FAR;
  uint16_t row = number_in (self, from), column = number_in (self, to);
  if (row >= self->n_costs || column >= self->n_costs)
    return TRACKER_PLACES_FAR;
  return self->costs[(size_t)row * self->n_costs + column];
}

unsigned
tracker_places_near (const TrackerPlaces *self, uint16_t from, uint16_t out[TRACKER_PLACES_NEAR])
{
  unsigned n = 0;
  if (self == NULL || number_in (self, from) >= self->n_costs)
    return 0;
  const uint16_t *near = self->near[number_in (self, from)];
  while (n < TRACKER_PLACES_NEAR && near[n] != NONE) {
    out[n] = (uint16_t)(self->base + near[n]);
    n++;
  }
  return n;
}

const char *
tracker_places_name (const TrackerPlaces *self, uint16_t place)
{
  if (self == NULL || number_in (self, place) >= self->names->len)
    return NULL;
  return g_ptr_array_index (self->names, number_in (self, place));
}

uint32_t
tracker_places_count (const TrackerPlaces *self)
{
  return self->names->len;
}
