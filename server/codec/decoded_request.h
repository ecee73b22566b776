// A request after decoding: what to compute, and what the answer looks like.

#ifndef ATTENTION_SERVER_CODEC_DECODED_REQUEST_H_
#define ATTENTION_SERVER_CODEC_DECODED_REQUEST_H_

#include <cstdint>
#include <vector>

#include "server/core/attention_task.h"
#include "server/core/buffer.h"

namespace attention::server {

// How the arrays of an answer are presented.
struct ResponseForm {
  bool floats = false;  // in `floats` instead of `raw`
  std::vector<int64_t> output_shape;
  std::vector<int64_t> matrix_shape;  // of weights and scores: [batch?, query heads, queries, keys]
};

// Points into the message it was decoded from, which must outlive it. Moving it keeps its pointers
// valid.
struct DecodedRequest {
  AttentionTask task;
  ResponseForm response_form;
  std::vector<Buffer> storage;  // what could not be read in place
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_DECODED_REQUEST_H_
