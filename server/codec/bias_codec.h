// What the distance between a query and a key adds to their score, or turns them by.

#ifndef ATTENTION_SERVER_CODEC_BIAS_CODEC_H_
#define ATTENTION_SERVER_CODEC_BIAS_CODEC_H_

#include "absl/status/status.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// Fills in alibi, the bucketed bias and the rotary embedding of the task's problem. Errors:
// kInvalidArgument for what options.proto refuses; kUnimplemented for a rotary embedding with
// another score than the dot product.
[[nodiscard]] absl::Status DecodeBiases(const OptionsDecoding& decoding);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_BIAS_CODEC_H_
