// From an answer to the bytes that gRPC sends.

#ifndef ATTENTION_SERVER_CODEC_RESPONSE_ENCODER_H_
#define ATTENTION_SERVER_CODEC_RESPONSE_ENCODER_H_

#include <grpcpp/support/byte_buffer.h>

#include "attention/v1/attention_service.pb.h"
#include "server/codec/decoded_request.h"
#include "server/core/attention_task.h"
#include "server/core/operator_tasks.h"

namespace attention::server {

// The wire format of an AttentionResponse, or of the response to another task. Arrays in `raw` form
// are not copied: the bytes own the result's buffers and free them when gRPC has sent them. Arrays
// in `floats` form are converted. May throw std::bad_alloc.
[[nodiscard]] grpc::ByteBuffer EncodeResponse(AttentionResult result, const AttentionTask& task,
                                              const ResponseForm& form,
                                              const v1::Execution& execution);

[[nodiscard]] grpc::ByteBuffer EncodeResponse(AttentionResult result, const RotaryTask& task,
                                              const ResponseForm& form,
                                              const v1::Execution& execution);
[[nodiscard]] grpc::ByteBuffer EncodeResponse(AttentionResult result, const MergeTask& task,
                                              const ResponseForm& form,
                                              const v1::Execution& execution);

// The same for a request of any method.
[[nodiscard]] grpc::ByteBuffer EncodeResponse(AttentionResult result, const DecodedCall& decoded,
                                              const v1::Execution& execution);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_RESPONSE_ENCODER_H_
