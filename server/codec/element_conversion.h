// `floats`, the form of tensors for people, to and from the element types.

#ifndef ATTENTION_SERVER_CODEC_ELEMENT_CONVERSION_H_
#define ATTENTION_SERVER_CODEC_ELEMENT_CONVERSION_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "attention/v1/tensor.pb.h"
#include "kernels/tensor_view.h"

namespace attention::server {

// Writes each number of `source` to `destination` as `type`, rounded to nearest. Returns the index
// of the first one that `type` cannot hold (BOOL: neither 0 nor 1; INT32 and INT64: no whole number
// in range), and then what was written is of no use. Floating point types hold every number: what
// is too large becomes infinite.
[[nodiscard]] std::optional<int64_t> ConvertFloats(absl::Span<const float> source,
                                                   v1::DataType type, void* destination);

// Writes `count` elements of a floating point `type` as floats, rounded to nearest.
void ConvertToFloats(kernels::DataType type, const void* source, int64_t count, float* destination);

// The index of the first byte that is neither 0 nor 1.
[[nodiscard]] std::optional<int64_t> FirstNonBoolean(absl::string_view bytes);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_ELEMENT_CONVERSION_H_
