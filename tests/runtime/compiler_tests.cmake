# SPDX-License-Identifier: Apache-2.0
# The compiler's tests that need no NVRTC: a fake libnvrtc stands in for it, built for an old, a
# current and a fully bound (RELRO) form.
set(here ${CMAKE_CURRENT_LIST_DIR})
function(rmsjit_fake_nvrtc name)
  add_library(${name} MODULE ${here}/fake_nvrtc.cc)
  target_link_libraries(${name} PRIVATE rmsjit_cuda_headers)
  target_compile_features(${name} PRIVATE cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/fake)
endfunction()
rmsjit_fake_nvrtc(fake_nvrtc)
rmsjit_fake_nvrtc(fake_nvrtc_bound)
target_link_options(fake_nvrtc PRIVATE -Wl,-z,lazy)
target_link_options(fake_nvrtc_bound PRIVATE -Wl,-z,relro,-z,now)
rmsjit_fake_nvrtc(fake_nvrtc_12_3)
target_compile_definitions(fake_nvrtc_12_3 PRIVATE FAKE_MAJOR=12 FAKE_MINOR=3)
rmsjit_fake_nvrtc(fake_nvrtc_12_4)
target_compile_definitions(fake_nvrtc_12_4 PRIVATE FAKE_MAJOR=12 FAKE_MINOR=4)

add_library(rmsjit_compiler_fixture STATIC ${here}/host_state.cc)
target_link_libraries(rmsjit_compiler_fixture PUBLIC rmsjit_options rmsjit_compiler)
target_compile_definitions(rmsjit_compiler_fixture PUBLIC
  RMSJIT_TEST_WORKER="$<TARGET_FILE:rmsjit-worker>"
  RMSJIT_TEST_FAKE_NVRTC="$<TARGET_FILE:fake_nvrtc>"
  RMSJIT_TEST_FAKE_NVRTC_BOUND="$<TARGET_FILE:fake_nvrtc_bound>"
  RMSJIT_TEST_FAKE_NVRTC_12_3="$<TARGET_FILE:fake_nvrtc_12_3>"
  RMSJIT_TEST_FAKE_NVRTC_12_4="$<TARGET_FILE:fake_nvrtc_12_4>")
add_dependencies(rmsjit_compiler_fixture rmsjit-worker fake_nvrtc fake_nvrtc_bound fake_nvrtc_12_3
                 fake_nvrtc_12_4)

foreach(name compile_worker compiler_host compiler_state cubin_info nvrtc_library signal_shield worker_protocol)
  rmsjit_test(${name}_test LABEL unit SOURCES ${here}/${name}_test.cc LIBRARIES rmsjit_compiler_fixture)
endforeach()
