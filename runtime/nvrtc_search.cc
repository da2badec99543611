// SPDX-License-Identifier: Apache-2.0
// The lists of places. A wheel of ours lies beside the vendor's wheels in site-packages, a build
// tree keeps unpacked wheels in build/nvrtc, an installed library relies on loader and toolkit.
#include "runtime/nvrtc_search.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

namespace rmsjit {
namespace {

constexpr const char* kSonames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
#if defined(__aarch64__)
constexpr const char* kToolkitTarget = "sbsa-linux";
#else
constexpr const char* kToolkitTarget = "x86_64-linux";
#endif

void add_wheels(std::vector<std::string>& places, const std::string& folder) {
  places.push_back(folder + "/nvidia/cu13/lib/libnvrtc.so.13");
  places.push_back(folder + "/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
}

// folder, its parent, and so on: a wheel's library may lie up to three levels below site-packages.
std::vector<std::string> with_parents(const std::string& folder) {
  std::vector<std::string> folders;
  std::filesystem::path path(folder);
  for (int level = 0; level < 4 && !path.empty(); ++level) {
    folders.push_back(path == "/" ? "" : path.string());
    if (path == path.parent_path()) break;
    path = path.parent_path();
  }
  return folders;
}

}  // namespace

std::vector<std::string> nvrtc_places(const NvrtcSearch& search) {
  std::vector<std::string> places;
  if (!search.chosen.empty()) {
    std::error_code error;
    if (!std::filesystem::is_directory(search.chosen, error)) return {search.chosen};
    for (const char* soname : kSonames) places.push_back(search.chosen + "/" + soname);
    return places;
  }
  if (!search.object_folder.empty()) {
    for (const std::string& folder : with_parents(search.object_folder)) {
      add_wheels(places, folder);
      add_wheels(places, folder + "/nvrtc");
    }
  }
  for (const char* soname : kSonames) places.push_back(soname);
  for (const char* toolkit : {"/usr/local/cuda", "/usr/local/cuda-13", "/usr/local/cuda-12"}) {
    const std::string root = toolkit;
    for (const std::string& folder :
         {root + "/lib64", root + "/targets/" + kToolkitTarget + "/lib"}) {
      for (const char* soname : kSonames) places.push_back(folder + "/" + soname);
    }
  }
  return places;
}

std::vector<std::string> worker_places(const std::string& chosen,
                                       const std::string& object_folder) {
  if (!chosen.empty()) return {chosen};
  if (object_folder.empty()) return {};
  std::vector<std::string> places;
  for (const char* relative : {"/../libexec/rmsjit", "", "/../bin"}) {
    std::filesystem::path path(object_folder + relative + "/rmsjit-worker");
    places.push_back(path.lexically_normal().string());
  }
  return places;
}

std::string own_object_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&own_object_folder), &info) == 0 ||
      info.dli_fname == nullptr) {
    return {};
  }
  // For the main program the loader knows only how it was called.
  std::error_code error;
  std::filesystem::path path(info.dli_fname);
  if (!path.has_parent_path() || !std::filesystem::exists(path, error)) path = "/proc/self/exe";
  path = std::filesystem::canonical(path, error);
  return error ? std::string() : path.parent_path().string();
}

std::string absolute_path(const std::string& path) {
  if (path.empty()) return path;
  std::error_code error;
  const std::filesystem::path full = std::filesystem::absolute(path, error);
  return error ? path : full.lexically_normal().string();
}

}  // namespace rmsjit
