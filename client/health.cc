#include "client/health.h"

#include <string>
#include <utility>

#include "client/blocking_call.h"
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
  grpc::TemplatedGenericStub<Request, Response> stub(channel);
  grpc::Status status = WaitForCall([&](std::function<void(grpc::Status)> done) {
    stub.UnaryCall(context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request,
                   &response, std::move(done));
  });
  if (status.ok()) *answer = static_cast<ServingStatus>(response.value());
  return status;
}

}  // namespace attention::client
