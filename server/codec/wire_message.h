// From the bytes that gRPC received to a parsed message.

#ifndef ATTENTION_SERVER_CODEC_WIRE_MESSAGE_H_
#define ATTENTION_SERVER_CODEC_WIRE_MESSAGE_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include "absl/status/status.h"

namespace attention::server {

// kInvalidArgument for what gRPC hands over where a call had no message, or one that ended too
// soon.
[[nodiscard]] absl::Status CheckWhole(const grpc::ByteBuffer& bytes);

// Parses `bytes` into the empty `message`. Errors: those of CheckWire, which runs first, and
// kInvalidArgument "request: not a valid SelfAttentionRequest message". May throw std::bad_alloc.
[[nodiscard]] absl::Status ParseWireMessage(const grpc::ByteBuffer& bytes,
                                            google::protobuf::Message& message);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_WIRE_MESSAGE_H_
