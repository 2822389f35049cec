/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/share.h"
#include "peer/net/file.h"
#include <string.h>

struct ProxyShare {
  const ProxySessionOptions *options;
  NetHasher *hasher;
  NetHashing *hashing; /* NULL = not now */
  char *id;
  PeerLink *like;        /* or NULL */
  ProxySession *session; /* in the swarm; or NULL */
  char *link, *error;
  void (*told) (gpointer data);
  gpointer data;
};

/* What others need of it. */
static PeerLink *
make_link (const ProxyShare *self, const PeerContent *content)
{
  PeerLink *link = peer_link_new ();
  const char *const *more = self->options->trackers;
  link->content = *content;
  for (guint i = 0; self->like && i < self->like->trackers->len; i++)
    g_ptr_array_add (link->trackers, g_strdup (self->like->trackers->pdata[i]));
  for (; more && *more; more++)
    if (!g_ptr_array_find_with_equal_func (link->trackers, *more, g_str_equal, NULL))
      g_ptr_array_add (link->trackers, g_strdup (*more));
  if (self->like && self->like->has_tracker_key) {
    link->has_tracker_key = true;
    memcpy (link->tracker_key, self->like->tracker_key, sizeof link->tracker_key);
  }
  return link;
}

static void
on_hashed (NetHashed *hashed, const GError *failure, gpointer data)
{
  ProxyShare *self = data;
  g_autoptr (GError) error = failure ? g_error_copy (failure) : NULL;
  self->hashing = NULL;
  if (!error) {
    PeerLink *link = make_link (self, &hashed->content);
    g_autofree char *text = peer_link_to_string (link);
    self->session =
        proxy_session_new_seed (self->options, self->id, link, g_steal_pointer (&hashed->store),
                                g_steal_pointer (&hashed->integrity), &error);
    if (self->session)
      self->link = g_steal_pointer (&text);
  }
  if (error) {
    self->error = g_strdup (error->message);
    g_message ("%s cannot be shared: %s", self->id, error->message);
  } else
    g_message ("%s is shared", self->id);
  self->told (self->data);
}

ProxyShare *
proxy_share_new (const ProxySessionOptions *options, NetHasher *hasher, const char *id,
                 const char *path, const char *like, void (*told) (gpointer data), gpointer data)
{
  ProxyShare *self = g_new0 (ProxyShare, 1);
  PeerContent wanted;
  g_autofree char *hashes = g_strconcat (path, NET_FILE_HASHES, NULL);
  self->options = options;
  self->hasher = hasher;
  self->id = g_strdup (id);
  self->like = like ? peer_link_parse (like, NULL) : NULL;
  self->told = told;
  self->data = data;
  peer_content_init_static (&wanted);
  self->hashing = net_hasher_add (hasher, id, path, hashes, &wanted, on_hashed, self);
  return self;
}

void
proxy_share_free (ProxyShare *self)
{
  if (!self)
    return;
  if (self->hashing)
    net_hasher_forget (self->hasher, self->hashing);
  proxy_session_free (self->session);
  peer_link_free (self->like);
  g_free (self->link);
  g_free (self->error);
  g_free (self->id);
  g_free (self);
}

void
proxy_share_status (const ProxyShare *self, ProxyShareStatus *out)
{
  *out = (ProxyShareStatus){.link = self->link, .error = self->error};
  if (self->hashing)
    out->hashed = net_hashing_progress (self->hashing);
  else if (self->session) {
    out->hashed = 1;
    proxy_session_stats (self->session, &out->stats);
  }
}
