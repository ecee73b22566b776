// Keys and values of earlier steps, which come before those of a request.

#ifndef ATTENTION_SERVER_CODEC_PAST_CODEC_H_
#define ATTENTION_SERVER_CODEC_PAST_CODEC_H_

#include "absl/status/status.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/ready_operand.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"

namespace attention::server {

// Fills in the task's keys and values from `key` and `value`, past_key, past_value and
// return_present: in place unless rows have to be joined. Errors: kInvalidArgument for what
// ScaledDotProductAttentionRequest refuses.
[[nodiscard]] absl::Status DecodePast(const v1::ScaledDotProductAttentionRequest& request,
                                      const Operand& key, const Operand& value,
                                      TensorReader& reader, AttentionTask& task);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_PAST_CODEC_H_
