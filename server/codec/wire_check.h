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

// Walks `byte_count` bytes as a message of type `descriptor`, into every message within. Allocates
// no memory for what it reads, so that hostile bytes cost no more than their own size.
//
// Returns kUnimplemented for a field number that the message does not have, at any depth
// ("options: field number 99 is not known to this server"); kInvalidArgument for
//   - bytes that are no such message ("request: not a valid SelfAttentionRequest message"), which
//   includes a
//     known field in another wire type;
//   - a number that an enumeration does not have, or that does not fit an int32
//     ("options.normalization: got 99, want 0 to 3");
//   - more repeated integers (extents of shapes) than any valid request has, since each would grow
//   eightfold.
//
// The protobuf language drops or keeps the first silently, accepts the second, and truncates the
// third. Source: protobuf.dev, "Encoding".
[[nodiscard]] absl::Status CheckWire(google::protobuf::io::ZeroCopyInputStream& bytes,
                                     int64_t byte_count,
                                     const google::protobuf::Descriptor& descriptor);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_WIRE_CHECK_H_
