// The standard health service, grpc.health.v1.

#ifndef ATTENTION_CLIENT_HEALTH_H_
#define ATTENTION_CLIENT_HEALTH_H_

#include <memory>
#include <string_view>

#include "client/results.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace attention::client {

// One Check call under `context`. On OK `*answer` is the server's.
[[nodiscard]] grpc::Status CheckServingStatus(const std::shared_ptr<grpc::Channel>& channel,
                                              std::string_view service,
                                              grpc::ClientContext* context, ServingStatus* answer);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_HEALTH_H_
