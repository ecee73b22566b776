// Keys and values of earlier steps, which come before those of a request.

#ifndef ATTENTION_SERVER_CODEC_PAST_CODEC_H_
#define ATTENTION_SERVER_CODEC_PAST_CODEC_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attention/v1/attention_service.pb.h"
#include "kernels/tensor_view.h"
#include "server/codec/ready_operand.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"

namespace attention::server {

// As many rows of keys as of values.
struct KeyValueRows {
  kernels::TensorView key;
  kernels::TensorView value;
};

// past_key and past_value, or nothing if there are none. Errors: kInvalidArgument if there is one
// alone, or if they do not fit together or with `key` and `value`.
[[nodiscard]] absl::StatusOr<std::optional<KeyValueRows>> ReadPastRows(
    const v1::ScaledDotProductAttentionRequest& request, const Operand& key, const Operand& value,
    TensorReader& reader);

// Fills in the task's keys and values from `key` and `value`, past_key, past_value and
// return_present: in place unless rows have to be joined. Errors: kInvalidArgument for what
// ScaledDotProductAttentionRequest refuses.
[[nodiscard]] absl::Status DecodePast(const v1::ScaledDotProductAttentionRequest& request,
                                      const Operand& key, const Operand& value,
                                      TensorReader& reader, AttentionTask& task);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_PAST_CODEC_H_
