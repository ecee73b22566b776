#include "server/attention_service.h"

#include <grpcpp/support/slice.h>

#include <new>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "server/call_identity.h"
#include "server/codec/layer_codec.h"
#include "server/codec/wire_message.h"
#include "server/core/status_macros.h"
#include "server/status_mapping.h"

namespace attention::server {
namespace {

grpc::ByteBuffer ToByteBuffer(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

// To an exception gRPC would answer UNIMPLEMENTED.
grpc::Status OutOfMemory() { return {grpc::StatusCode::RESOURCE_EXHAUSTED, ""}; }

grpc::ServerUnaryReactor* FinishNow(grpc::CallbackServerContext& context,
                                    const grpc::Status& status) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

// Answers at once, as methods do that cost nothing.
grpc::ServerUnaryReactor* AnswerNow(grpc::CallbackServerContext& context,
                                    absl::FunctionRef<absl::Status()> answer) {
  grpc::Status status;
  try {
    const std::string request_id = NewRequestId();
    context.AddInitialMetadata(kRequestIdHeader, request_id);
    status = ToGrpcStatus(answer(), request_id);
  } catch (const std::bad_alloc&) {
    status = OutOfMemory();
  }
  return FinishNow(context, status);
}

// For methods whose requests are a name at most, and which are answered without admission.
absl::Status ParseShort(const grpc::ByteBuffer& request, google::protobuf::Message& message) {
  constexpr size_t kMaxBytes = 4096;
  ATTENTION_RETURN_IF_ERROR(CheckWhole(request));
  if (request.Length() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("request: got ", request.Length(), " bytes, want <= ", kMaxBytes));
  }
  return ParseWireMessage(request, message);
}

absl::Status AnswerGetLayer(const grpc::ByteBuffer& request, const LayerSet& layers,
                            grpc::ByteBuffer& response) {
  v1::GetLayerRequest message;
  ATTENTION_RETURN_IF_ERROR(ParseShort(request, message));
  const auto layer = FindLayer(message.name(), "name", &layers);
  if (!layer.ok()) return layer.status();
  v1::GetLayerResponse answer;
  *answer.mutable_layer() = DescribeLayer(**layer);
  response = ToByteBuffer(answer);
  return absl::OkStatus();
}

grpc::ByteBuffer DescribeLayers(const LayerSet& layers) {
  v1::ListLayersResponse answer;
  for (const auto& [name, layer] : layers) *answer.add_layers() = DescribeLayer(*layer);
  return ToByteBuffer(answer);
}

}  // namespace

AttentionServiceImpl::AttentionServiceImpl(const CallEnvironment& environment,
                                           DecodeStreams& streams,
                                           const v1::GetServerInfoResponse& info)
    : environment_(environment), streams_(streams), info_(ToByteBuffer(info)) {}

grpc::ServerUnaryReactor* AttentionServiceImpl::StartCall(Method method,
                                                          const AttentionCall::Exchange& exchange) {
  AttentionCall* call = nullptr;
  try {
    call = new AttentionCall(environment_, method, exchange);
  } catch (const std::bad_alloc&) {
    return FinishNow(*exchange.context, OutOfMemory());
  }
  call->Start();
  return call;
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* AttentionServiceImpl::DecodeAttention(
    Context* context) {
  DecodeStream* stream = nullptr;
  try {
    stream = new DecodeStream(environment_, streams_, *context);
  } catch (const std::bad_alloc&) {
    return nullptr;  // gRPC answers UNIMPLEMENTED
  }
  stream->Wait();
  return stream;
}

grpc::ServerUnaryReactor* AttentionServiceImpl::ListLayers(Context* context, const Bytes* request,
                                                           Bytes* response) {
  return AnswerNow(*context, [&]() -> absl::Status {
    v1::ListLayersRequest message;
    ATTENTION_RETURN_IF_ERROR(ParseShort(*request, message));
    *response = LayerList();
    return absl::OkStatus();
  });
}

// Made once for each set and shared by all answers, however many wait to be taken.
grpc::ByteBuffer AttentionServiceImpl::LayerList() {
  const std::shared_ptr<const LayerSet> layers = environment_.layers.layers();
  const std::lock_guard lock(layer_list_mutex_);
  if (listed_layers_.lock() != layers) {
    layer_list_ = DescribeLayers(*layers);
    listed_layers_ = layers;
  }
  return layer_list_;
}

grpc::ServerUnaryReactor* AttentionServiceImpl::GetLayer(Context* context, const Bytes* request,
                                                         Bytes* response) {
  return AnswerNow(
      *context, [&] { return AnswerGetLayer(*request, *environment_.layers.layers(), *response); });
}

grpc::ServerUnaryReactor* AttentionServiceImpl::GetServerInfo(Context* context,
                                                              const Bytes* request,
                                                              Bytes* response) {
  return AnswerNow(*context, [&]() -> absl::Status {
    v1::GetServerInfoRequest message;
    ATTENTION_RETURN_IF_ERROR(ParseShort(*request, message));
    *response = info_;
    return absl::OkStatus();
  });
}

}  // namespace attention::server
