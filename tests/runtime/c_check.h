/* SPDX-License-Identifier: Apache-2.0 */
/* CHECK and what else the C programs among the tests share. */
#ifndef RMSJIT_TESTS_C_CHECK_H_
#define RMSJIT_TESTS_C_CHECK_H_

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "rmsjit/rmsjit_c.h"

static int failures = 0;

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      ++failures;                                                             \
    }                                                                         \
  } while (0)

static void check_message(const rmsjit_error* error, rmsjit_status code, const char* part) {
  if (error->code != code || strstr(error->message, part) == NULL) {
    fprintf(stderr, "expected %d: %s\n   given %d: %s\n", code, part, error->code, error->message);
    ++failures;
  }
}

static int finish(void) {
  if (failures == 0) puts("ok");
  return failures == 0 ? 0 : 1;
}

#endif /* RMSJIT_TESTS_C_CHECK_H_ */
