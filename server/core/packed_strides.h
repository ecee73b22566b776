// Heads side by side.

#ifndef ATTENTION_SERVER_CORE_PACKED_STRIDES_H_
#define ATTENTION_SERVER_CORE_PACKED_STRIDES_H_

#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::server {

// The strides with which [batch, rows, heads * width], the form in which projections read and
// write, is seen as [batch, heads, rows, width]: the given extents.
[[nodiscard]] constexpr kernels::Extents PackedStrides(const kernels::Extents& heads) {
  const int64_t packed_width = heads[1] * heads[3];
  return {heads[2] * packed_width, heads[3], packed_width, 1};
}

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_PACKED_STRIDES_H_
