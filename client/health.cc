#include "client/health.h"

#include <future>
#include <string>

#include "google/protobuf/wrappers.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/proto_utils.h"

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
  std::promise<grpc::Status> done;
  grpc::TemplatedGenericStub<Request, Response>(channel).UnaryCall(
      context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
      [&done](grpc::Status status) { done.set_value(std::move(status)); });
  grpc::Status status = done.get_future().get();
  if (status.ok()) *answer = static_cast<ServingStatus>(response.value());
  return status;
}

}  // namespace attention::client
