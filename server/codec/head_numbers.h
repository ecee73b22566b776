// Numbers of a request that belong to its query heads.

#ifndef ATTENTION_SERVER_CODEC_HEAD_NUMBERS_H_
#define ATTENTION_SERVER_CODEC_HEAD_NUMBERS_H_

#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attention/v1/tensor.pb.h"
#include "server/codec/options_decoding.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {

// What every number must be, in words and in fact.
struct NumberRule {
  absl::string_view want;
  bool (*holds)(double number);
};

// The elements of an F32 or F64 tensor as doubles, each checked. In place if it is F64.
[[nodiscard]] absl::StatusOr<std::span<const double>> ToDoubles(const WireTensor& tensor,
                                                                absl::string_view path,
                                                                const NumberRule& rule,
                                                                TensorReader& reader);

// F32 or F64 [query heads].
[[nodiscard]] absl::StatusOr<std::span<const double>> ReadHeadNumbers(
    const v1::Tensor& tensor, absl::string_view path, const NumberRule& rule,
    const OptionsDecoding& decoding);

[[nodiscard]] bool IsFinite(double number);

// Fills in the task's sinks, head factors and temperatures. The normalization must be there
// already. Errors: kInvalidArgument for what options.proto refuses; kUnimplemented for sinks
// without the softmax over keys.
[[nodiscard]] absl::Status DecodeHeadNumbers(const OptionsDecoding& decoding);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_HEAD_NUMBERS_H_
