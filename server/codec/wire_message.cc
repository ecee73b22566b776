#include "server/codec/wire_message.h"

#include <grpcpp/support/proto_buffer_reader.h>

#include "absl/strings/str_cat.h"
#include "server/codec/wire_check.h"
#include "server/core/status_macros.h"

namespace attention::server {

absl::Status CheckWhole(const grpc::ByteBuffer& bytes) {
  return bytes.Valid() ? absl::OkStatus()
                       : absl::InvalidArgumentError("request: got no whole message");
}

absl::Status ParseWireMessage(const grpc::ByteBuffer& bytes, google::protobuf::Message& message) {
  if (bytes.Length() == 0) return absl::OkStatus();
  grpc::ByteBuffer shared = bytes;  // shares the slices; the reader wants a buffer it may change
  {
    grpc::ProtoBufferReader reader(&shared);
    ATTENTION_RETURN_IF_ERROR(
        CheckWire(reader, static_cast<int64_t>(bytes.Length()), *message.GetDescriptor()));
  }
  grpc::ProtoBufferReader reader(&shared);
  if (!message.ParseFromZeroCopyStream(&reader)) {
    return absl::InvalidArgumentError(
        absl::StrCat("request: not a valid ", message.GetDescriptor()->name(), " message"));
  }
  return absl::OkStatus();
}

}  // namespace attention::server
