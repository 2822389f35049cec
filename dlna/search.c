/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar, with "and" binding closer than "or":
 *
 *   criteria  =  "*"  |  any
 *   any       =  all *( "or" all )
 *   all       =  one *( "and" one )
 *   one       =  "(" any ")"  |  property "exists" ( "true" | "false" )  |  property op "\"" value "\""
 *
 * It comes from outside: length and depth have limits. */

#include "dlna/search.h"
#include "dlna/didl.h"
#include <string.h>

#define MAX_LENGTH 4096
#define MAX_DEPTH 16

typedef enum {
  SEARCH_ALL_ITEMS, /* "*" */
  SEARCH_AND,
  SEARCH_OR,
  SEARCH_EXISTS,
  SEARCH_EQUAL,
  SEARCH_NOT_EQUAL,
  SEARCH_CONTAINS,
  SEARCH_NOT_CONTAINS,
  SEARCH_DERIVED,
  SEARCH_LESS,
  SEARCH_LESS_EQUAL,
  SEARCH_GREATER,
  SEARCH_GREATER_EQUAL,
} Relation;

struct DlnaSearch {
  Relation relation;
  DlnaSearch *left, *right; /* AND, OR */
  char *property;
  char *value; /* case-folded */
  bool wanted; /* EXISTS */
};

typedef struct {
  const char *text;
  unsigned depth;
} Parser;

static const struct {
  const char *word;
  Relation relation;
} operators[] = {
    {"=", SEARCH_EQUAL},
    {"!=", SEARCH_NOT_EQUAL},
    {"<", SEARCH_LESS},
    {"<=", SEARCH_LESS_EQUAL},
    {">", SEARCH_GREATER},
    {">=", SEARCH_GREATER_EQUAL},
    {"contains", SEARCH_CONTAINS},
    {"doesNotContain", SEARCH_NOT_CONTAINS},
    {"derivedfrom", SEARCH_DERIVED},
};

static DlnaSearch *parse_any (Parser *parser);

static void
skip_space (Parser *parser)
{
  while (*parser->text != '\0' && strchr (" \t\n\r\v\f", *parser->text) != NULL)
    parser->text++;
}

/* Letters, digits and what names of properties have; NULL = there is none. */
static char *
take_word (Parser *parser)
{
  size_t n = 0;

  skip_space (parser);
  while (g_ascii_isalnum (parser->text[n]) ||
         (parser->text[n] != '\0' && strchr ("@:_-.", parser->text[n]) != NULL))
    n++;
  if (n == 0)
    return NULL;
  parser->text += n;
  return g_strndup (parser->text - n, n);
}

/* Takes word if it comes next, as a whole. */
static bool
take (Parser *parser, const char *word)
{
  Parser ahead = *parser;
  g_autofree char *found = take_word (&ahead);

  if (g_strcmp0 (found, word) != 0)
    return false;
  *parser = ahead;
  return true;
}

static bool
take_relation (Parser *parser, Relation *out)
{
  size_t best = 0;

  skip_space (parser);
  for (size_t i = 0; i < G_N_ELEMENTS (operators); i++) {
    size_t n = strlen (operators[i].word);
    if (n > best && strncmp (parser->text, operators[i].word, n) == 0) {
      best = n;
      *out = operators[i].relation;
    }
  }
  parser->text += best;
  return best > 0;
}

static char *
take_quoted (Parser *parser)
{
  g_autoptr (GString) out = g_string_new (NULL);

  skip_space (parser);
  if (*parser->text != '"')
    return NULL;
  for (parser->text++; *parser->text != '"'; parser->text++) {
    if (*parser->text == '\\')
      parser->text++;
    if (*parser->text == '\0')
      return NULL;
    g_string_append_c (out, *parser->text);
  }
  parser->text++;
  return g_utf8_validate (out->str, -1, NULL) ? g_utf8_casefold (out->str, -1) : NULL;
}

static DlnaSearch *
parse_relation (Parser *parser)
{
  g_autoptr (DlnaSearch) self = g_new0 (DlnaSearch, 1);

  self->property = take_word (parser);
  if (self->property == NULL)
    return NULL;
  if (take (parser, "exists")) {
    self->relation = SEARCH_EXISTS;
    self->wanted = take (parser, "true");
    return self->wanted || take (parser, "false") ? g_steal_pointer (&self) : NULL;
  }
  if (!take_relation (parser, &self->relation))
    return NULL;
  self->value = take_quoted (parser);
  return self->value != NULL ? g_steal_pointer (&self) : NULL;
}

static DlnaSearch *
parse_one (Parser *parser)
{
  g_autoptr (DlnaSearch) inner = NULL;

  skip_space (parser);
  if (*parser->text != '(')
    return parse_relation (parser);
  if (parser->depth >= MAX_DEPTH)
    return NULL;
  parser->text++;
  parser->depth++;
  inner = parse_any (parser);
  parser->depth--;
  skip_space (parser);
  if (inner == NULL || *parser->text != ')')
    return NULL;
  parser->text++;
  return g_steal_pointer (&inner);
}

static DlnaSearch *
parse_chain (Parser *parser, Relation relation, const char *word,
             DlnaSearch *(*next) (Parser *parser))
{
  g_autoptr (DlnaSearch) left = next (parser);

  while (left != NULL && take (parser, word)) {
    DlnaSearch *both = g_new0 (DlnaSearch, 1);
    both->relation = relation;
    both->left = g_steal_pointer (&left);
    left = both;
    both->right = next (parser);
    if (both->right == NULL)
      return NULL;
  }
  return g_steal_pointer (&left);
}

static DlnaSearch *
parse_all (Parser *parser)
{
  return parse_chain (parser, SEARCH_AND, "and", parse_one);
}

static DlnaSearch *
parse_any (Parser *parser)
{
  return parse_chain (parser, SEARCH_OR, "or", parse_all);
}

DlnaSearch *
dlna_search_parse (const char *criteria)
{
  Parser parser = {criteria, 0};
  g_autoptr (DlnaSearch) self = NULL;

  if (strlen (criteria) > MAX_LENGTH)
    return NULL;
  skip_space (&parser);
  if (*parser.text == '*') {
    parser.text++;
    self = g_new0 (DlnaSearch, 1);
  } else {
    self = parse_any (&parser);
  }
  skip_space (&parser);
  return *parser.text == '\0' ? g_steal_pointer (&self) : NULL;
}

void
dlna_search_free (DlnaSearch *self)
{
  /* A chain leans to the left; only brackets go deeper on the right. */
  while (self != NULL) {
    DlnaSearch *left = self->left;
    dlna_search_free (self->right);
    g_free (self->property);
    g_free (self->value);
    g_free (self);
    self = left;
  }
}

static const char *
value_of (const DlnaItem *item, const char *property)
{
  if (strcmp (property, "upnp:class") == 0)
    return dlna_didl_class (item);
  if (strcmp (property, "dc:title") == 0)
    return item->title;
  if (strcmp (property, "upnp:channelName") == 0)
    return item->channel_name;
  if (strcmp (property, "@id") == 0)
    return item->id;
  if (strcmp (property, "@refID") == 0)
    return item->ref_id;
  if (strcmp (property, "@parentID") == 0)
    return item->parent_id;
  return NULL;
}

static bool
compare (Relation relation, const char *found, const char *value)
{
  int order = strcmp (found, value);
  size_t n = strlen (value);

  switch (relation) {
  case SEARCH_EQUAL:
    return order == 0;
  case SEARCH_NOT_EQUAL:
    return order != 0;
  case SEARCH_LESS:
    return order < 0;
  case SEARCH_LESS_EQUAL:
    return order <= 0;
  case SEARCH_GREATER:
    return order > 0;
  case SEARCH_GREATER_EQUAL:
    return order >= 0;
  case SEARCH_CONTAINS:
    return strstr (found, value) != NULL;
  case SEARCH_NOT_CONTAINS:
    return strstr (found, value) == NULL;
  case SEARCH_DERIVED: /* a class is derived from itself */
    return strncmp (found, value, n) == 0 && (found[n] == '\0' || found[n] == '.');
  case SEARCH_ALL_ITEMS:
  case SEARCH_AND:
  case SEARCH_OR:
  case SEARCH_EXISTS:
    break;
  }
  g_assert_not_reached ();
}

bool
dlna_search_matches (const DlnaSearch *self, const DlnaItem *item)
{
  const char *found;
  g_autofree char *folded = NULL, *valid = NULL;

  if (self->relation == SEARCH_ALL_ITEMS)
    return true;
  if (self->relation == SEARCH_AND)
    return dlna_search_matches (self->left, item) && dlna_search_matches (self->right, item);
  if (self->relation == SEARCH_OR)
    return dlna_search_matches (self->left, item) || dlna_search_matches (self->right, item);
  found = value_of (item, self->property);
  if (self->relation == SEARCH_EXISTS)
    return (found != NULL) == self->wanted;
  if (found == NULL)
    return false;
  valid = g_utf8_make_valid (found, -1);
  folded = g_utf8_casefold (valid, -1);
  return compare (self->relation, folded, self->value);
}
