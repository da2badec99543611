// SPDX-License-Identifier: Apache-2.0
#include "runtime/python/native/shapes.h"

#include <iterator>

namespace rmsjit::python {
namespace {

// Dimensions [first, last) as one of `extent` elements `stride` apart.
bool collapse(const DLTensor& tensor, int first, int last, int64_t& extent, int64_t& stride) {
  extent = 1;
  stride = 0;
  bool any = false;
  for (int i = last - 1; i >= first; --i) {
    const int64_t size = tensor.shape[i];
    if (size == 1) continue;
    if (!any)
      stride = tensor.strides[i];
    else if (extent != 0 && tensor.strides[i] != stride * extent)
      return false;
    any = true;
    extent *= size;
  }
  return true;
}

struct Strides {
  int64_t token;
  int64_t head;
};

// Dimensions [0, split) are tokens, [split, rank - 1) heads.
bool place_one(const Array& array, int split, rmsjit_args& args, Strides& strides) {
  const DLTensor& tensor = array.get();
  return collapse(tensor, 0, split, args.tokens, strides.token) &&
         collapse(tensor, split, tensor.ndim - 1, args.heads, strides.head);
}

bool place_all(const Shaped& arrays, int split, rmsjit_args& args) {
  Strides x{}, residual{}, residual_out{}, y{};
  if (!place_one(*arrays.x, split, args, x) || !place_one(*arrays.y, split, args, y)) return false;
  if (arrays.residual != nullptr && (!place_one(*arrays.residual, split, args, residual) ||
                                     !place_one(*arrays.residual_out, split, args, residual_out))) {
    return false;
  }
  args.x_token_stride = x.token;
  args.x_head_stride = x.head;
  args.y_token_stride = y.token;
  args.y_head_stride = y.head;
  args.residual_token_stride = residual.token;
  args.residual_head_stride = residual.head;
  args.residual_out_token_stride = residual_out.token;
  args.residual_out_head_stride = residual_out.head;
  return true;
}

bool same_shape(const DLTensor& x, const char* x_name, const Array* other, const char* name) {
  if (other == nullptr) return true;
  const DLTensor& tensor = other->get();
  bool same = tensor.ndim == x.ndim;
  for (int i = 0; same && i < x.ndim; ++i) same = tensor.shape[i] == x.shape[i];
  if (same) [[likely]]
    return true;
  raise_invalid("%s has the shape %s and %s %s: the same is needed", name, ShapeText(tensor).text,
                x_name, ShapeText(x).text);
  return false;
}

}  // namespace

ShapeText::ShapeText(const DLTensor& tensor) {
  char* end = text;
  for (int i = 0; i < tensor.ndim; ++i) {
    end += PyOS_snprintf(end, static_cast<size_t>(std::end(text) - end), "%s%lld",
                         i == 0 ? "[" : ", ", static_cast<long long>(tensor.shape[i]));
  }
  PyOS_snprintf(end, static_cast<size_t>(std::end(text) - end), "]");
}

bool same_shapes(const Shaped& arrays, const char* x_name) {
  const DLTensor& x = arrays.x->get();
  return same_shape(x, x_name, arrays.y, "out") &&
         same_shape(x, x_name, arrays.residual, "residual") &&
         same_shape(x, x_name, arrays.residual_out, "residual_out");
}

bool place(const Shaped& arrays, int32_t layout, rmsjit_args& args) {
  const int rows_end = arrays.x->get().ndim - 1;
  if (layout == RMSJIT_ROWS) return place_all(arrays, rows_end, args);
  // The last leading dimension is the heads, unless it only collapses with those before it.
  for (int split = rows_end - 1; split >= 1; --split) {
    if (place_all(arrays, split, args)) return true;
  }
  return place_all(arrays, rows_end, args);
}

void raise_not_collapsible(int32_t layout, int rank) {
  raise_invalid(
      "the %d leading dimensions of the arrays do not collapse to %s: their strides must "
      "follow from each other",
      rank - 1, layout == RMSJIT_ROWS ? "one" : "two");
}

}  // namespace rmsjit::python
