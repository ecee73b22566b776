// Reads a message's bytes before they are parsed, and refuses what parsing would silently accept.

#ifndef ATTENTION_SERVER_CODEC_WIRE_CHECK_H_
#define ATTENTION_SERVER_CODEC_WIRE_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"

namespace google::protobuf {
class Descriptor;
namespace io {
class ZeroCopyInputStream;
}
}  // namespace google::protobuf

namespace attention::server {

// Walks `byte_count` bytes as a message of type `descriptor`, into every message within. The memory
// it needs does not grow with the bytes, so that hostile ones cost no more than their own size.
//
// Returns kUnimplemented for a field number that the message does not have, at any depth:
// "options: field number 99 is not known to this server". Returns kInvalidArgument for
//   - bytes that are no such message, or have a known field in another wire type:
//     "request: not a valid SelfAttentionRequest message";
//   - a number that an enumeration does not have, or that an int32 cannot hold:
//     "options.normalization: got 99, want 0 to 3";
//   - more repeated integers (extents of shapes) or repeated messages (states to merge) than any
//     valid request has, since each takes many times its bytes when it is parsed.
//
// Protobuf itself keeps unknown fields unseen, accepts unknown enumerators and truncates integers.
// Source: protobuf.dev, "Encoding".
[[nodiscard]] absl::Status CheckWire(google::protobuf::io::ZeroCopyInputStream& bytes,
                                     int64_t byte_count,
                                     const google::protobuf::Descriptor& descriptor);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_WIRE_CHECK_H_
