# SPDX-License-Identifier: Apache-2.0
# The package: find_package(rmsjit) gives rmsjit::rmsjit and rmsjit::rmsjit_static, pkg-config the
# shared library. Folders are fixed, because the library finds its worker at ../libexec/rmsjit.
include(CMakePackageConfigHelpers)

install(TARGETS rmsjit rmsjit_static EXPORT rmsjitTargets
  LIBRARY DESTINATION lib ARCHIVE DESTINATION lib INCLUDES DESTINATION include)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/rmsjit DESTINATION include
  FILES_MATCHING PATTERN "*.h")
install(FILES ${PROJECT_BINARY_DIR}/generated/rmsjit/version.h DESTINATION include/rmsjit)
install(EXPORT rmsjitTargets NAMESPACE rmsjit:: DESTINATION lib/cmake/rmsjit)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/rmsjitConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/rmsjitConfig.cmake INSTALL_DESTINATION lib/cmake/rmsjit)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/rmsjitConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rmsjitConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/rmsjitConfigVersion.cmake DESTINATION lib/cmake/rmsjit)

configure_file(${CMAKE_CURRENT_LIST_DIR}/rmsjit.pc.in ${CMAKE_CURRENT_BINARY_DIR}/rmsjit.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/rmsjit.pc DESTINATION lib/pkgconfig)

if(PROJECT_IS_TOP_LEVEL)
  set(CPACK_GENERATOR TGZ DEB)
  set(CPACK_PACKAGE_CONTACT "rmsjit maintainers <maintainers@users.noreply.example>")
  set(CPACK_STRIP_FILES ON)
  set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION libs)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)  # and has ldconfig run
  include(CPack)
endif()
