// A request after decoding: what to compute, and what the answer looks like.

#ifndef ATTENTION_SERVER_CODEC_DECODED_REQUEST_H_
#define ATTENTION_SERVER_CODEC_DECODED_REQUEST_H_

#include <cstdint>
#include <variant>
#include <vector>

#include "server/core/attention_task.h"
#include "server/core/buffer.h"
#include "server/core/operator_tasks.h"
#include "server/core/task.h"

namespace attention::server {

// How the arrays of an answer are presented.
struct ResponseForm {
  std::vector<int64_t> output_shape;
  std::vector<int64_t> matrix_shape;  // of weights and scores: [batch?, query heads, queries, keys]

  // [batch?, key-value heads, keys, width], where the task returns them.
  std::vector<int64_t> present_key_shape;
  std::vector<int64_t> present_value_shape;
};

// Points into the message it was decoded from, which must outlive it. Moving it keeps its pointers
// valid.
template <class TaskKind>
struct Decoded {
  TaskKind task;
  ResponseForm response_form;
  std::vector<Buffer> storage;  // what could not be read in place
};

using DecodedRequest = Decoded<AttentionTask>;  // of all methods that attend
using DecodedRotaryEmbedding = Decoded<RotaryTask>;
using DecodedMerge = Decoded<MergeTask>;

// A request of any method.
using DecodedCall = std::variant<DecodedRequest, DecodedRotaryEmbedding, DecodedMerge>;

// Its task, where it stands now: moving the request moves the task.
[[nodiscard]] inline AnyTask TaskOf(const DecodedCall& decoded) {
  return std::visit([](const auto& kind) -> AnyTask { return &kind.task; }, decoded);
}

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_DECODED_REQUEST_H_
