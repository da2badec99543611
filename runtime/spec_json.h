// SPDX-License-Identifier: Apache-2.0
// NormSpec as a JSON object: every field by its name, nothing left to a default. What `keys --json`
// and `build --json` print as "spec" and what --specs reads back.
#ifndef RMSJIT_SPEC_JSON_H_
#define RMSJIT_SPEC_JSON_H_

#include <nlohmann/json.hpp>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"

namespace rmsjit {

// hidden is a number, each other field the name of its value; dtypes are resolved, so that
// "weight" is never "the same as x".
nlohmann::ordered_json spec_to_json(const NormSpec& spec);

// The inverse: fields left out are at their defaults, unknown ones are errors. The result is
// validated, and what the rest of the object makes void is accepted, since spec_to_json names all.
// Errors: kInvalidArgument.
Result<NormSpec> spec_from_json(const nlohmann::json& object);

// `spec` with every field that has no effect at its default, for whatever target: pdl=auto and
// constant_weight stay. Requires validate(spec).ok().
NormSpec canonical_any_target(const NormSpec& spec);

}  // namespace rmsjit

#endif  // RMSJIT_SPEC_JSON_H_
