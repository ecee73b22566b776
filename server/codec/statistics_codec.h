// What an answer holds beside its output: weights, scores and statistics.

#ifndef ATTENTION_SERVER_CODEC_STATISTICS_CODEC_H_
#define ATTENTION_SERVER_CODEC_STATISTICS_CODEC_H_

#include "absl/status/status.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// Fills in which arrays the task's answer holds. The normalization must be there already. Errors:
// kInvalidArgument for what options.proto refuses; kUnimplemented for statistics of anything but
// the softmax over keys.
[[nodiscard]] absl::Status DecodeReturns(const OptionsDecoding& decoding);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_STATISTICS_CODEC_H_
