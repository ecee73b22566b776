// The one place where the service's statuses become gRPC's.

#ifndef ATTENTION_SERVER_STATUS_MAPPING_H_
#define ATTENTION_SERVER_STATUS_MAPPING_H_

#include <grpcpp/support/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace attention::server {

// Peers refuse metadata beyond 8 KiB, and then the whole call fails with another code.
inline constexpr size_t kMaxStatusMessageBytes = 1000;

// When a refused caller may try again, in milliseconds. Source: gRFC A6.
inline constexpr char kRetryPushbackTrailer[] = "grpc-retry-pushback-ms";

// The codes of kCallerCodes stay what they are, with a message of at most kMaxStatusMessageBytes.
// Everything else, kInternal included, is a fault of ours: INTERNAL, with a fixed text and the
// request id alone.
[[nodiscard]] grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view request_id);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_STATUS_MAPPING_H_
