#include "client/health.h"

#include <string>

#include "google/protobuf/wrappers.pb.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/impl/rpc_method.h"

namespace attention::client {
namespace {

// HealthCheckRequest is `string service = 1`, HealthCheckResponse is `ServingStatus status = 1`.
// These two well-known messages are the same on the wire; they stand in because gRPC registers the
// health messages' names for itself inside its library and gives out no headers for them.
using Request = google::protobuf::StringValue;
using Response = google::protobuf::Int32Value;

}  // namespace

grpc::Status CheckServingStatus(const std::shared_ptr<grpc::Channel>& channel,
                                std::string_view service, grpc::ClientContext* context,
                                ServingStatus* answer) {
  Request request;
  request.set_value(std::string(service));
  Response response;
  // As the stub would that protoc makes: a callback would need gRPC's threads.
  const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check",
                                         grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Status status = grpc::internal::BlockingUnaryCall<Request, Response>(
      channel.get(), method, context, request, &response);
  if (status.ok()) *answer = static_cast<ServingStatus>(response.value());
  return status;
}

}  // namespace attention::client
