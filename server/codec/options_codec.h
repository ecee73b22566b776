// AttentionOptions of a request.

#ifndef ATTENTION_SERVER_CODEC_OPTIONS_CODEC_H_
#define ATTENTION_SERVER_CODEC_OPTIONS_CODEC_H_

#include "absl/status/status.h"
#include "attention/v1/options.pb.h"
#include "server/codec/tensor_codec.h"
#include "server/core/attention_task.h"

namespace attention::server {

// Fills in the task's problem (masks, causal offset, key lengths, score parameters) and options.
// The task's type and the extents of its query, key and value must be there already. The precision
// of the task's options is the default: it stays unless the request names one. Errors:
// kInvalidArgument for what options.proto refuses. May throw std::bad_alloc.
[[nodiscard]] absl::Status DecodeOptions(const v1::AttentionOptions& options, TensorReader& reader,
                                         AttentionTask& task);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_OPTIONS_CODEC_H_
