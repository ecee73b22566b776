#include "server/attention_service.h"

#include <grpcpp/support/slice.h>

#include "server/call_identity.h"
#include "server/codec/wire_message.h"
#include "server/status_mapping.h"

namespace attention::server {
namespace {

grpc::ByteBuffer ToByteBuffer(const google::protobuf::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return {&slice, 1};
}

}  // namespace

AttentionServiceImpl::AttentionServiceImpl(const CallEnvironment& environment,
                                           const v1::GetServerInfoResponse& info)
    : environment_(environment), info_(ToByteBuffer(info)) {}

grpc::ServerUnaryReactor* AttentionServiceImpl::StartCall(Method method,
                                                          const AttentionCall::Exchange& exchange) {
  auto* call = new AttentionCall(environment_, method, exchange);
  call->Start();
  return call;
}

grpc::ServerUnaryReactor* AttentionServiceImpl::SelfAttention(grpc::CallbackServerContext* context,
                                                              const grpc::ByteBuffer* request,
                                                              grpc::ByteBuffer* response) {
  return StartCall(Method::kSelfAttention, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::MaskedAttention(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(Method::kMaskedAttention, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::MultiHeadAttention(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(Method::kMultiHeadAttention, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::CrossAttention(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer* request,
                                                               grpc::ByteBuffer* response) {
  return StartCall(Method::kCrossAttention, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::ScaledDotProductAttention(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(Method::kScaledDotProductAttention, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::ApplyRotaryEmbedding(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(Method::kApplyRotaryEmbedding, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::MergeAttentionStates(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
    grpc::ByteBuffer* response) {
  return StartCall(Method::kMergeAttentionStates, {context, request, response});
}

grpc::ServerUnaryReactor* AttentionServiceImpl::GetServerInfo(grpc::CallbackServerContext* context,
                                                              const grpc::ByteBuffer* request,
                                                              grpc::ByteBuffer* response) {
  v1::GetServerInfoRequest message;
  const absl::Status status = ParseWireMessage(*request, message);
  if (status.ok()) *response = info_;
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status, NewRequestId()));
  return reactor;
}

}  // namespace attention::server
