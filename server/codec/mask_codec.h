// What hides keys from queries: masks, causal and key lengths.

#ifndef ATTENTION_SERVER_CODEC_MASK_CODEC_H_
#define ATTENTION_SERVER_CODEC_MASK_CODEC_H_

#include "absl/status/status.h"
#include "attention/v1/options.pb.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"

namespace attention::server {

// Fills in the masks, the causal offset and the key lengths of the task's problem. The task's
// extents and normalization must be there already. Masks are aligned at the right to [batch, query
// heads, queries, keys]; what is missing or 1 gets a stride of 0. Errors: kInvalidArgument for what
// options.proto refuses.
[[nodiscard]] absl::Status DecodeMasks(const v1::AttentionOptions& options, TensorReader& reader,
                                       AttentionTask& task);

// Whether any of the fields that DecodeMasks reads is set.
[[nodiscard]] bool HasMask(const v1::AttentionOptions& options);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_MASK_CODEC_H_
