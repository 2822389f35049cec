/* SPDX-License-Identifier: Apache-2.0 */
/* A text in JSON (RFC 8259) as a tree: one allocation, no recursion, nothing copied that is not read.
 * Strict: no comments, no trailing commas, no control characters or NUL in strings. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  TRACKER_NODE_NULL,
  TRACKER_NODE_FALSE,
  TRACKER_NODE_TRUE,
  TRACKER_NODE_NUMBER,
  TRACKER_NODE_STRING,
  TRACKER_NODE_ARRAY,
  TRACKER_NODE_OBJECT,
} TrackerNodeType;

typedef struct TrackerNode TrackerNode;

struct TrackerNode {
  TrackerNodeType type;
  uint32_t n;               /* STRING, NUMBER: bytes of text. ARRAY, OBJECT: elements */
  const char *name;         /* of a member of an object; else NULL */
  const char *text;         /* STRING: unescaped, with a NUL behind it; NUMBER: as it stands */
  const TrackerNode *first; /* ARRAY, OBJECT: element */
  const TrackerNode *next;  /* after this one in its array or object */
};

/* The root, or NULL = no JSON, or deeper than that. n: up to 2^31. The caller frees what it is given
 * with g_free (); all nodes live as long. */
TrackerNode *tracker_tree_read (const char *bytes, size_t n, unsigned max_depth);

/* NULL = object is none, or has none of that name. Of several the last counts. */
const TrackerNode *tracker_node_member (const TrackerNode *object, const char *name);
/* false = not a whole number from 0 to max. */
bool tracker_node_integer (const TrackerNode *node, uint64_t max, uint64_t *out);
