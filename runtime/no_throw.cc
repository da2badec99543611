// SPDX-License-Identifier: Apache-2.0
// Of the shared library and the worker alone, in place of what libstdc++ and libgcc bring along for
// exceptions. Nothing there throws but the C++ library itself, when host memory is out; that ends
// the process, as documented, rather than unwinding through a C caller while locks are held.
// Without it each load would allocate a pool for exceptions that outlives the library, and the
// unwinder would need a glibc of 2.35.
#include <stdlib.h>

#include <cstddef>

extern "C" {

// The first step of a throw.
void* __cxa_allocate_exception(size_t) noexcept { abort(); }

void __cxa_free_exception(void*) noexcept {}

int _dl_find_object(void*, void*) { return -1; }  // no unwinding, no table to find

}  // extern "C"
