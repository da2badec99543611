// SPDX-License-Identifier: Apache-2.0
// Where libnvrtc and the compile worker are looked for, in order. Lists only; nothing is opened
// and no variable is read: what the caller chose arrives in the arguments.
#ifndef RMSJIT_NVRTC_SEARCH_H_
#define RMSJIT_NVRTC_SEARCH_H_

#include <string>
#include <vector>

namespace rmsjit {

struct NvrtcSearch {
  std::string chosen;         // path of a library or of its folder; when set, the only place
  bool loaded_copy = false;   // take a copy that this process has already loaded
  std::string object_folder;  // of the shared object or executable that holds rmsjit
};

// Absolute paths, then sonames that the loader resolves. Requires: `chosen` is absolute or empty.
std::vector<std::string> nvrtc_places(const NvrtcSearch& search);

// Paths of the worker executable. `chosen`, when set, is the only one.
std::vector<std::string> worker_places(const std::string& chosen, const std::string& object_folder);

// The folder of the object that this function was linked into; empty when the loader cannot say.
std::string own_object_folder();

// `path` made absolute against the current folder; empty stays empty.
std::string absolute_path(const std::string& path);

}  // namespace rmsjit

#endif  // RMSJIT_NVRTC_SEARCH_H_
