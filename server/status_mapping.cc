#include "server/status_mapping.h"

#include <string>

#include "server/status_code_names.h"

namespace attention::server {

grpc::Status ToGrpcStatus(const absl::Status& status, std::string_view request_id) {
  if (status.ok()) return grpc::Status::OK;
  const absl::StatusCode code = CodeForCaller(status.code());
  if (code == absl::StatusCode::kInternal) {
    return {grpc::StatusCode::INTERNAL, "internal error; request id " + std::string(request_id)};
  }
  // Abseil numbers its codes as gRPC does.
  std::string message(status.message());
  if (message.size() > kMaxStatusMessageBytes) {
    message.resize(kMaxStatusMessageBytes - 3);
    message += "...";
  }
  return {static_cast<grpc::StatusCode>(code), message};
}

}  // namespace attention::server
