# SPDX-License-Identifier: Apache-2.0
# cmake -DREADME=README.md -DOUTPUT=x.h -P extract_example.cmake: the first C++ block of the README,
# so that what a reader copies is what the build compiles.
file(READ ${README} text)
string(FIND "${text}" "```cpp\n" begin)
string(SUBSTRING "${text}" ${begin} -1 rest)
string(SUBSTRING "${rest}" 7 -1 rest)
string(FIND "${rest}" "```" end)
string(SUBSTRING "${rest}" 0 ${end} example)
if(begin LESS 0 OR end LESS 1)
  message(FATAL_ERROR "${README} has no C++ example")
endif()
file(WRITE ${OUTPUT} "${example}")
