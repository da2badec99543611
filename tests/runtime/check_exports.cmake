# SPDX-License-Identifier: Apache-2.0
# The shared library exports exactly the committed list and reads the environment through
# secure_getenv alone; its objects call nothing that a host would not expect of a library, and none
# has a constructor to run at load time.
function(run output)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: exit ${code}")
  endif()
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

run(symbols ${NM} -D --defined-only --format=posix ${LIBRARY})
string(REGEX MATCHALL "(^|\n)[^ \n]+" names "${symbols}")
list(TRANSFORM names STRIP)
list(SORT names)
file(STRINGS ${EXPECTED} expected)
if(NOT names STREQUAL expected)
  set(extra ${names})
  list(REMOVE_ITEM extra ${expected})
  set(missing ${expected})
  list(REMOVE_ITEM missing ${names})
  message(FATAL_ERROR "exported symbols differ from ${EXPECTED}\n  not in the list: ${extra}\n"
                      "  not exported: ${missing}")
endif()

run(undefined ${NM} -D --undefined-only --format=posix ${LIBRARY})
if(undefined MATCHES "(^|\n)getenv[ @]")
  message(FATAL_ERROR "${LIBRARY} calls getenv, which a process with raised privileges may not trust")
endif()

# No network, no user database, no shell, nothing found on PATH, no guessed file names, no maps of
# files, no end of the process, nothing on stdout.
run(used ${NM} --undefined-only --format=posix ${ARCHIVE})
string(REGEX MATCH "(^|\n)(connect|bind|getaddrinfo|gethostbyname|getpw[a-z_]*|system|popen|exec[a-z]+|posix_spawnp|mktemp|tmpnam|mmap|_?exit|quick_exit|printf|puts|putchar|perror)[ @\n]"
       forbidden "${used}")
if(forbidden)
  message(FATAL_ERROR "${ARCHIVE} calls ${forbidden}")
endif()

run(sections ${READELF} -S -W ${ARCHIVE})
if(NOT sections MATCHES "\\.text")
  message(FATAL_ERROR "nothing understood of: ${sections}")
endif()
if(sections MATCHES "\\.(init_array|ctors)" AND NOT SANITIZED)
  message(FATAL_ERROR "an object in ${ARCHIVE} has a static constructor")
endif()
