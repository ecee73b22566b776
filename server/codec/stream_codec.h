// Keys and values of a stream, of which the server has those of earlier requests.

#ifndef ATTENTION_SERVER_CODEC_STREAM_CODEC_H_
#define ATTENTION_SERVER_CODEC_STREAM_CODEC_H_

#include <vector>

#include "absl/status/status.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/past_codec.h"
#include "server/codec/ready_operand.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"
#include "server/core/key_value_cache.h"

namespace attention::server {

// What the decoding of a request of DecodeAttention needs beside the request, and finds out.
struct StreamDecoding {
  const KeyValueCache& cache;
  std::vector<KeyValueRows> added;  // to be appended in this order before the task is computed
};

// That the request has no field that only ScaledDotProductAttention takes.
[[nodiscard]] absl::Status CheckStreamed(const v1::ScaledDotProductAttentionRequest& request);

// Fills in `added` from `key`, `value` and, in the first request, past_key and past_value, and the
// type and extents that the task's keys and values will have with them. Errors: kInvalidArgument
// for what DecodeAttention refuses.
[[nodiscard]] absl::Status DecodeStreamed(const v1::ScaledDotProductAttentionRequest& request,
                                          const Operand& key, const Operand& value,
                                          TensorReader& reader, StreamDecoding& stream,
                                          AttentionTask& task);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_STREAM_CODEC_H_
