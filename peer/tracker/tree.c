/* SPDX-License-Identifier: Apache-2.0 */
/* The text is copied behind the nodes, and strings are unescaped where they stand: unescaped they are
 * never longer. A node is needed for each value, and a value follows one of "[", ",", ":" or the
 * beginning; so counting these tells how many nodes there can be. */
#include "peer/tracker/tree.h"

#include <string.h>

#define DEEPEST 64

typedef struct {
  char *at, *end; /* the end is a NUL */
  TrackerNode *nodes;
  uint32_t n_nodes;
} Reader;

static void
skip_space (Reader *self)
{
  while (*self->at == ' ' || *self->at == '\n' || *self->at == '\t' || *self->at == '\r')
    self->at++;
}

static bool
read_hex (const char *at, uint32_t *out)
{
  uint32_t value = 0;
  for (unsigned i = 0; i < 4; i++) {
    int digit = g_ascii_xdigit_value (at[i]); /* a NUL is none, so we stay inside */
    if (digit < 0)
      return false;
    value = value << 4 | (uint32_t)digit;
  }
  *out = value;
  return true;
}

/* Behind "\u"; in is moved behind its last digit. */
static bool
read_code_point (const char **in, char **out)
{
  uint32_t high, low;
  if (!read_hex (*in, &high) || high == 0)
    return false;
  *in += 4;
  if (high >= 0xdc00 && high < 0xe000)
    return false;
  if (high >= 0xd800 && high < 0xdc00) {
    if ((*in)[0] != '\\' || (*in)[1] != 'u' || !read_hex (*in + 2, &low) || low < 0xdc00 ||
        low >= 0xe000)
      return false;
    *in += 6;
    high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }
  *out += g_unichar_to_utf8 (high, *out);
  return true;
}

static bool
read_escape (const char **in, char **out)
{
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  char c = *(*in)++;
  if (c == 'u')
    return read_code_point (in, out);
  const char *letter = c != 0 ? strchr (letters, c) : NULL;
  if (letter == NULL)
    return false;
  *(*out)++ = meant[letter - letters];
  return true;
}

/* At the quote. NULL = malformed. */
static const char *
read_string (Reader *self, uint32_t *n)
{
  char *start = ++self->at;
  const char *in = start;
  while ((unsigned char)*in >= 0x20 && *in != '"' && *in != '\\')
    in++;
  char *out = start + (in - start);
  while (*in != '"') {
    if ((unsigned char)*in < 0x20) /* the end, too */
      return NULL;
    if (*in != '\\') {
      *out++ = *in++;
      continue;
    }
    in++;
    if (!read_escape (&in, &out))
      return NULL;
  }
  *n = (uint32_t)(out - start);
  self->at = start + (in - start) + 1;
  *out = 0;
  return start;
}

static bool
skip_digits (Reader *self)
{
  if (!g_ascii_isdigit (*self->at))
    return false;
  while (g_ascii_isdigit (*self->at))
    self->at++;
  return true;
}

static bool
skip_number (Reader *self)
{
  if (*self->at == '-')
    self->at++;
  if (*self->at == '0')
    self->at++;
  else if (!skip_digits (self))
    return false;
  if (*self->at == '.') {
    self->at++;
    if (!skip_digits (self))
      return false;
  }
  if (*self->at == 'e' || *self->at == 'E') {
    self->at++;
    if (*self->at == '+' || *self->at == '-')
      self->at++;
    return skip_digits (self);
  }
  return true;
}

static bool
skip_word (Reader *self, const char *word)
{
  size_t n = strlen (word);
  if (strncmp (self->at, word, n) != 0)
    return false;
  self->at += n;
  return true;
}

/* A value that is no array and no object, or the beginning of one. */
static bool
read_value (Reader *self, TrackerNode *node)
{
  char *start = self->at;
  switch (*start) {
  case '{':
    node->type = TRACKER_NODE_OBJECT;
    self->at++;
    return true;
  case '[':
    node->type = TRACKER_NODE_ARRAY;
    self->at++;
    return true;
  case '"':
    node->type = TRACKER_NODE_STRING;
    node->text = read_string (self, &node->n);
    return node->text != NULL;
  case 't':
    node->type = TRACKER_NODE_TRUE;
    return skip_word (self, "true");
  case 'f':
    node->type = TRACKER_NODE_FALSE;
    return skip_word (self, "false");
  case 'n':
    node->type = TRACKER_NODE_NULL;
    return skip_word (self, "null");
  }
  node->type = TRACKER_NODE_NUMBER;
  node->text = start;
  if (!skip_number (self))
    return false;
  node->n = (uint32_t)(self->at - start);
  return true;
}

/* Where an element is added: an array or object that is open, and its last element so far. */
typedef struct {
  TrackerNode *node, *last;
} Level;

static TrackerNode *
read_element (Reader *self, Level *level)
{
  const char *name = NULL;
  uint32_t n;
  if (level->node->type == TRACKER_NODE_OBJECT) {
    if (*self->at != '"' || (name = read_string (self, &n)) == NULL)
      return NULL;
    skip_space (self);
    if (*self->at++ != ':')
      return NULL;
    skip_space (self);
  }
  TrackerNode *node = &self->nodes[self->n_nodes++];
  *node = (TrackerNode){.name = name};
  if (!read_value (self, node))
    return NULL;
  if (level->last != NULL)
    level->last->next = node;
  else
    level->node->first = node;
  level->last = node;
  level->node->n++;
  return node;
}

static bool
closes (const Reader *self, const Level *level)
{
  return *self->at == (level->node->type == TRACKER_NODE_OBJECT ? '}' : ']');
}

static bool
is_open (const TrackerNode *node)
{
  return node->type == TRACKER_NODE_OBJECT || node->type == TRACKER_NODE_ARRAY;
}

static bool
read_tree (Reader *self, unsigned max_depth)
{
  Level levels[DEEPEST];
  unsigned depth = 0;
  TrackerNode *root = &self->nodes[self->n_nodes++];
  *root = (TrackerNode){0};
  skip_space (self);
  if (!read_value (self, root))
    return false;
  if (is_open (root))
    levels[depth++] = (Level){root, NULL};
  while (depth > 0) {
    Level *level = &levels[depth - 1];
    skip_space (self);
    if (closes (self, level)) { /* behind a comma it is refused below */
      self->at++;
      depth--;
      continue;
    }
    if (level->last != NULL) {
      if (*self->at++ != ',')
        return false;
      skip_space (self);
    }
    TrackerNode *node = read_element (self, level);
    if (node == NULL)
      return false;
    if (is_open (node)) {
      if (depth == max_depth)
        return false;
      levels[depth++] = (Level){node, NULL};
    }
  }
  skip_space (self);
  return self->at == self->end;
}

TrackerNode *
tracker_tree_read (const char *bytes, size_t n, unsigned max_depth)
{
  size_t values = 1;
  if (n > INT32_MAX || max_depth > DEEPEST || max_depth == 0 ||
      !g_utf8_validate (bytes, (gssize)n, NULL)) /* nor has it a NUL */
    return NULL;
  for (size_t i = 0; i < n; i++)
    values += bytes[i] == '[' || bytes[i] == ',' || bytes[i] == ':';
  g_autofree TrackerNode *nodes = g_malloc (values * sizeof *nodes + n + 1);
  char *text = (char *)(nodes + values);
  memcpy (text, bytes, n);
  text[n] = 0;
  Reader reader = {.at = text, .end = text + n, .nodes = nodes};
  return read_tree (&reader, max_depth) ? g_steal_pointer (&nodes) : NULL;
}

const TrackerNode *
tracker_node_member (const TrackerNode *object, const char *name)
{
  const TrackerNode *found = NULL;
  if (object == NULL || object->type != TRACKER_NODE_OBJECT)
    return NULL;
  for (const TrackerNode *node = object->first; node != NULL; node = node->next)
    if (strcmp (node->name, name) == 0)
      found = node;
  return found;
}

bool
tracker_node_integer (const TrackerNode *node, uint64_t max, uint64_t *out)
{
  uint64_t value = 0;
  if (node == NULL || (node->type != TRACKER_NODE_NUMBER && node->type != TRACKER_NODE_STRING) ||
      node->n == 0)
    return false;
  for (uint32_t i = 0; i < node->n; i++) {
    unsigned digit = (unsigned)node->text[i] - '0';
    if (digit > 9 || value > (UINT64_MAX - digit) / 10)
      return false;
    value = 10 * value + digit;
  }
  if (value > max)
    return false;
  *out = value;
  return true;
}
