# SPDX-License-Identifier: Apache-2.0
# Model keys: rmsjit_model_objects goes into librmsjit through RMSJIT_MODEL_SOURCES, and by itself
# into the tests of the families, which need nothing else of the runtime.
add_library(rmsjit_model_objects OBJECT
  ${CMAKE_CURRENT_LIST_DIR}/model_config.cc
  ${CMAKE_CURRENT_LIST_DIR}/model_data.cc
  ${CMAKE_CURRENT_LIST_DIR}/model_errors.cc
  ${CMAKE_CURRENT_LIST_DIR}/model_family.cc
  ${CMAKE_CURRENT_LIST_DIR}/model_keys.cc
  ${CMAKE_CURRENT_LIST_DIR}/spec_json.cc)
target_link_libraries(rmsjit_model_objects PRIVATE
  rmsjit_library_options fmt::fmt-header-only nlohmann_json::nlohmann_json)
rmsjit_embed(rmsjit_model_objects ${CMAKE_CURRENT_BINARY_DIR}/embedded_model_data.cc
  embedded_model_data FILES
  families.json=${PROJECT_SOURCE_DIR}/tools/models/families.json
  profiles.json=${PROJECT_SOURCE_DIR}/tools/profiles/profiles.json)
set(RMSJIT_MODEL_SOURCES $<TARGET_OBJECTS:rmsjit_model_objects>)

add_library(rmsjit_models STATIC ${RMSJIT_MODEL_SOURCES})
target_link_libraries(rmsjit_models PUBLIC rmsjit_options nlohmann_json::nlohmann_json)
