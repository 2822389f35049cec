/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/interfaces.h"
#include <string.h>

static ProxyInterface lo = {.name = "lo", .ip = "127.0.0.1", .loopback = true};
static ProxyInterface lo6 = {.name = "lo", .ip = "::1", .loopback = true};
static ProxyInterface lan = {.name = "br-lan", .ip = "192.168.1.1", .private = true};
static ProxyInterface lan6 = {.name = "br-lan", .ip = "fd00::1", .private = true};
static ProxyInterface lan_global = {.name = "br-lan", .ip = "2001:db8::1"};
static ProxyInterface lan_link = {.name = "br-lan", .ip = "fe80::1", .link_local = true};
static ProxyInterface guest = {.name = "guest", .ip = "10.1.0.1", .private = true};
static ProxyInterface wan = {.name = "wan", .ip = "198.51.100.7", .default_route = true};
static ProxyInterface wan_private = {
    .name = "wan", .ip = "100.64.0.9", .private = true, .default_route = true};
static ProxyInterface only = {
    .name = "eth0", .ip = "192.168.1.33", .private = true, .default_route = true};

/* names: those that are chosen, with their addresses. */
static void
check_as (ProxyInterface *const *given, const char *const *wanted, bool *router,
          const char *expected)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new ();
  for (; *given; given++)
    g_ptr_array_add (all, *given);
  g_autoptr (GPtrArray) chosen = proxy_interfaces_choose (all, wanted, router);
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint i = 0; i < chosen->len; i++)
    g_string_append_printf (text, "%s ", ((ProxyInterface *)chosen->pdata[i])->ip);
  g_assert_cmpstr (text->str, ==, expected);
}

static void
check (ProxyInterface *const *given, const char *const *wanted, const char *expected)
{
  bool router = false;
  check_as (given, wanted, &router, expected);
}

/* The home's bridge goes down; behind another router the WAN has a private address. */
static void
test_router (void)
{
  bool router = false;
  check_as ((ProxyInterface *[]){&lo, &wan_private, &lan, NULL}, NULL, &router, "192.168.1.1 ");
  check_as ((ProxyInterface *[]){&lo, &wan_private, NULL}, NULL, &router, "");
  check_as ((ProxyInterface *[]){&lo, &wan_private, &lan, NULL}, NULL, &router, "192.168.1.1 ");
}

static void
test_rule (void)
{
  /* a router; one behind another router; one whose WAN is private; a computer; nothing */
  check ((ProxyInterface *[]){&lo, &lo6, &lan, &lan6, &lan_global, &lan_link, &guest, &wan, NULL},
         NULL, "192.168.1.1 fd00::1 10.1.0.1 ");
  check ((ProxyInterface *[]){&lo, &wan_private, &lan, NULL}, NULL, "192.168.1.1 ");
  check ((ProxyInterface *[]){&lo, &only, NULL}, NULL, "192.168.1.33 ");
  check ((ProxyInterface *[]){&lo, &wan, NULL}, NULL, "");
  check ((ProxyInterface *[]){&lo, NULL}, NULL, "");
}

static void
test_operator (void)
{
  ProxyInterface *all[] = {&lo, &lo6, &lan, &lan_link, &guest, &wan, NULL};
  check (all, (const char *const[]){"lo", NULL}, "127.0.0.1 ::1 ");
  check (all, (const char *const[]){"guest", "br-lan", NULL}, "192.168.1.1 10.1.0.1 ");
  check (all, (const char *const[]){"absent", NULL}, "");
  check (all, (const char *const[]){"wan", NULL}, "198.51.100.7 "); /* he must know */
}

static void
test_read (void)
{
  g_autoptr (GPtrArray) all = proxy_interfaces_read ();
  bool loopback = false;
  for (guint i = 0; i < all->len; i++) {
    const ProxyInterface *interface = all->pdata[i];
    g_assert_true (interface->name[0] != '\0');
    loopback |= interface->loopback && g_str_equal (interface->ip, "127.0.0.1");
    g_assert_false (interface->loopback && interface->private);
  }
  g_assert_true (loopback);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/proxy/interfaces/private-but-not-the-default-route", test_rule);
  g_test_add_func ("/proxy/interfaces/wan-is-not-the-home-while-the-bridge-is-down", test_router);
  g_test_add_func ("/proxy/interfaces/operator-has-the-last-word", test_operator);
  g_test_add_func ("/proxy/interfaces/reads-loopback", test_read);
  return g_test_run ();
}
