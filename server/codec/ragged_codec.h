// Ragged batches: where the sequences of a request start.

#ifndef ATTENTION_SERVER_CODEC_RAGGED_CODEC_H_
#define ATTENTION_SERVER_CODEC_RAGGED_CODEC_H_

#include "absl/status/status.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/ready_operand.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"

namespace attention::server {

// kInvalidArgument for a ragged batch in a layout that has no place for it. To be checked before
// the shapes, which would be blamed instead.
[[nodiscard]] absl::Status CheckRaggedLayout(const v1::ScaledDotProductAttentionRequest& request);

// Fills in the task's sequences from query_starts and key_starts, or leaves it without where the
// request has neither. The layout has been checked. Errors: kInvalidArgument for what
// ScaledDotProductAttentionRequest refuses; kUnimplemented, naming both fields, for fields and
// options that a ragged batch does not have.
[[nodiscard]] absl::Status DecodeRagged(const v1::ScaledDotProductAttentionRequest& request,
                                        const Operand& query, const Operand& key,
                                        TensorReader& reader, AttentionTask& task);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_RAGGED_CODEC_H_
