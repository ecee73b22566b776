// Requests as they are sent: one copy of the elements of large tensors, from the caller's memory
// straight into what gRPC sends.

#ifndef ATTENTION_CLIENT_REQUEST_BYTES_H_
#define ATTENTION_CLIENT_REQUEST_BYTES_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"

namespace attention::client {

// Elements that a request's message leaves out.
struct LargeTensor {
  std::string field;  // of the tensor, from the request on: "projections.query.weight"
  std::span<const std::byte> bytes;
};

// The wire form of `message` with the elements in their places. What a message field has in several
// pieces is one message (protobuf.dev, "Last One Wins"): each large tensor's `raw` follows the rest
// as a piece of its own. No field of `large` may be within a repeated one.
[[nodiscard]] grpc::ByteBuffer RequestBytes(const google::protobuf::Message& message,
                                            std::span<const LargeTensor> large);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_REQUEST_BYTES_H_
