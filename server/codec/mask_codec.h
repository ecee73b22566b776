// Masks: boolean, additive, multiplicative and of blocks.

#ifndef ATTENTION_SERVER_CODEC_MASK_CODEC_H_
#define ATTENTION_SERVER_CODEC_MASK_CODEC_H_

#include "absl/status/status.h"
#include "attention/v1/options.pb.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// Fills in the masks of the task's problem. The task's normalization must be there already, and its
// key lengths: where masks may be shorter than the keys, these are limited to what the masks reach.
// Masks are aligned at the right to [batch, query heads, queries, keys]; what is missing or 1 gets
// a stride of 0. Errors: kInvalidArgument for what options.proto refuses.
[[nodiscard]] absl::Status DecodeMasks(const OptionsDecoding& decoding);

// Whether any field is set that hides keys from queries, or a mask.
[[nodiscard]] bool HidesKeys(const v1::AttentionOptions& options);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_MASK_CODEC_H_
