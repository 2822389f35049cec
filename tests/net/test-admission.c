/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, by how many there are already. */
#include "peer/net/admission.h"
#include "tests/suite.h"

#include <arpa/inet.h>

static NetAdmissionResult
enter (NetAdmission *self, const char *ip, bool replaces)
{
  struct in6_addr address;
  g_assert_cmpint (inet_pton (AF_INET6, ip, &address), ==, 1);
  return net_admission_enter (self, &address, replaces);
}

static void
leave (NetAdmission *self, const char *ip)
{
  struct in6_addr address;
  g_assert_cmpint (inet_pton (AF_INET6, ip, &address), ==, 1);
  net_admission_leave (self, &address);
}

/* Two for each home: an address of IPv4, or a /64. The machine itself is none. */
static void
a_home_has_a_limit (void)
{
  static const char *const homes[][4] = {
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"},
      {"2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8::2", "2001:db8:0:1::1"}};
  NetAdmission *self = net_admission_new (100, 2);
  for (unsigned i = 0; i < G_N_ELEMENTS (homes); i++) {
    g_assert_cmpint (enter (self, homes[i][0], false), ==, NET_ADMISSION_ENTERED);
    g_assert_cmpint (enter (self, homes[i][1], false), ==, NET_ADMISSION_ENTERED);
    g_assert_cmpint (enter (self, homes[i][2], false), ==, NET_ADMISSION_TOO_MANY);
    g_assert_cmpint (enter (self, homes[i][2], true), ==, NET_ADMISSION_TOO_MANY);
    g_assert_cmpint (enter (self, homes[i][3], false), ==, NET_ADMISSION_ENTERED);
    leave (self, homes[i][0]);
    g_assert_cmpint (enter (self, homes[i][2], false), ==, NET_ADMISSION_ENTERED);
  }
  g_assert_cmpuint (net_admission_connections (self), ==, 6);
  for (unsigned i = 0; i < 10; i++) {
    g_assert_cmpint (enter (self, "::1", false), ==, NET_ADMISSION_ENTERED);
    g_assert_cmpint (enter (self, "::ffff:127.0.0.1", false), ==, NET_ADMISSION_ENTERED);
  }
  net_admission_unref (self);
}

/* All together: loopback is one of them. */
static void
all_have_a_limit (void)
{
  NetAdmission *self = net_admission_new (2, 2);
  g_assert_cmpint (enter (self, "::ffff:192.0.2.1", false), ==, NET_ADMISSION_ENTERED);
  g_assert_cmpint (enter (self, "::1", false), ==, NET_ADMISSION_ENTERED);
  g_assert_cmpint (enter (self, "::ffff:192.0.2.2", false), ==, NET_ADMISSION_FULL);
  g_assert_cmpint (enter (self, "::1", false), ==, NET_ADMISSION_FULL);
  g_assert_cmpint (enter (self, "::ffff:192.0.2.2", true), ==, NET_ADMISSION_ENTERED);
  g_assert_cmpuint (net_admission_connections (self), ==, 3);
  leave (self, "::1");
  leave (self, "::ffff:192.0.2.1");
  g_assert_cmpint (enter (self, "::ffff:192.0.2.2", false), ==, NET_ADMISSION_ENTERED);
  net_admission_unref (self);
}

int
main (int argc, char **argv)
{
  static const SuiteTest tests[] = {
      {"a-home-has-a-limit", a_home_has_a_limit},
      {"all-have-a-limit", all_have_a_limit},
  };
  return suite_run (argc, argv, "/net/admission/", tests, G_N_ELEMENTS (tests));
}
