# SPDX-License-Identifier: Apache-2.0
# cmake -DKIND=package|pkgconfig|subdirectory -DSOURCE=repo -DBUILD=build -DWORK=dir -P run_consumer.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${code}\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(here ${CMAKE_CURRENT_LIST_DIR})
if(NOT KIND STREQUAL "subdirectory")
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)
  # Moved, because a package with absolute paths inside would still work where it was made.
  file(RENAME ${WORK}/installed ${WORK}/moved)
endif()

if(KIND STREQUAL "package")
  run(${CMAKE_COMMAND} -S ${here}/package -B ${WORK}/build -DCMAKE_PREFIX_PATH=${WORK}/moved
      -DCMAKE_BUILD_TYPE=Release)
  run(${CMAKE_COMMAND} --build ${WORK}/build)
  set(programs ${WORK}/build/consumer_cxx ${WORK}/build/consumer_static ${WORK}/build/consumer_c)
elseif(KIND STREQUAL "pkgconfig")
  set(ENV{PKG_CONFIG_PATH} ${WORK}/moved/lib/pkgconfig)
  run(sh -c "${CC} ${here}/consumer.c -o ${WORK}/consumer_c $(pkg-config --cflags --libs rmsjit)")
  run(sh -c "${CXX} -std=c++20 -fno-exceptions ${here}/consumer.cc -o ${WORK}/consumer_cxx $(pkg-config --cflags --libs rmsjit)")
  set(ENV{LD_LIBRARY_PATH} ${WORK}/moved/lib)
  set(programs ${WORK}/consumer_c ${WORK}/consumer_cxx)
else()
  run(${CMAKE_COMMAND} -S ${here}/subdirectory -B ${WORK}/build -DRMSJIT_SOURCE=${SOURCE}
      -DCMAKE_BUILD_TYPE=None -DRMSJIT_CUDA_INCLUDE_DIR=${CUDA})  # no flags: the quickest build
  run(${CMAKE_COMMAND} --build ${WORK}/build --parallel 2 --target consumer_cxx consumer_c)
  set(programs ${WORK}/build/consumer_cxx ${WORK}/build/consumer_c)
endif()
foreach(program IN LISTS programs)
  run(${program})
endforeach()
file(REMOVE_RECURSE ${WORK})
