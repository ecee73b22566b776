// What counts from where the queries stand among the keys: causality, prefixes and the window; and
// where that is.

#ifndef ATTENTION_SERVER_CODEC_POSITIONS_CODEC_H_
#define ATTENTION_SERVER_CODEC_POSITIONS_CODEC_H_

#include "absl/status/status.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// Fills in the query offsets, causality, the prefix lengths and the window of the task's problem,
// whose key lengths must be there already. Errors: kInvalidArgument for what options.proto refuses;
// kUnimplemented for causality that is aligned otherwise than the queries' positions.
[[nodiscard]] absl::Status DecodePositions(const OptionsDecoding& decoding);

// Whether the options have a window that hides anything.
[[nodiscard]] bool HasWindow(const v1::AttentionOptions& options);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_POSITIONS_CODEC_H_
