// Integers of a request that describe its batch entries: one each, or one for each token.

#ifndef ATTENTION_SERVER_CODEC_BATCH_INTEGERS_H_
#define ATTENTION_SERVER_CODEC_BATCH_INTEGERS_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attention/v1/tensor.pb.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// "key_starts.data_type: got DATA_TYPE_F32, want DATA_TYPE_INT32 or DATA_TYPE_INT64"
[[nodiscard]] absl::Status CheckIntegerType(const WireTensor& tensor, absl::string_view path);

// Element `index` of an INT32 or INT64 tensor.
[[nodiscard]] int64_t IntegerAt(const WireTensor& tensor, int64_t index);

// INT32 or INT64 [batch], or [sequences] of a ragged batch, each between 0 and the number of keys
// of its entry. The caller may change them.
[[nodiscard]] absl::StatusOr<std::span<int64_t>> ReadLengths(const v1::Tensor& tensor,
                                                             absl::string_view path,
                                                             const OptionsDecoding& decoding);

// Fills in the task's key lengths.
[[nodiscard]] absl::Status DecodeKeyLengths(const OptionsDecoding& decoding);

// Fills in the segments of the task's queries and keys.
[[nodiscard]] absl::Status DecodeSegments(const OptionsDecoding& decoding);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_BATCH_INTEGERS_H_
