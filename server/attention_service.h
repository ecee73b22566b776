// attention.v1.AttentionService over gRPC's callback interface.

#ifndef ATTENTION_SERVER_ATTENTION_SERVICE_H_
#define ATTENTION_SERVER_ATTENTION_SERVICE_H_

#include <memory>
#include <mutex>

#include "attention/v1/attention_service.grpc.pb.h"
#include "server/attention_call.h"
#include "server/decode_stream.h"

namespace attention::server {

// Requests arrive as bytes, so that bytes which are no request get INVALID_ARGUMENT (gRPC itself
// would answer UNIMPLEMENTED or INTERNAL), and answers leave without a copy.
using RawAttentionService = v1::AttentionService::WithRawCallbackMethod_SelfAttention<
    v1::AttentionService::WithRawCallbackMethod_MaskedAttention<
        v1::AttentionService::WithRawCallbackMethod_MultiHeadAttention<
            v1::AttentionService::WithRawCallbackMethod_CrossAttention<
                v1::AttentionService::WithRawCallbackMethod_ScaledDotProductAttention<
                    v1::AttentionService::WithRawCallbackMethod_DecodeAttention<
                        v1::AttentionService::WithRawCallbackMethod_ApplyRotaryEmbedding<
                            v1::AttentionService::WithRawCallbackMethod_MergeAttentionStates<
                                v1::AttentionService::WithRawCallbackMethod_ListLayers<
                                    v1::AttentionService::WithRawCallbackMethod_GetLayer<
                                        v1::AttentionService::WithRawCallbackMethod_GetServerInfo<
                                            v1::AttentionService::Service>>>>>>>>>>>;

class AttentionServiceImpl final : public RawAttentionService {
  using Reactor = grpc::ServerUnaryReactor;
  using Context = grpc::CallbackServerContext;
  using Bytes = grpc::ByteBuffer;

 public:
  // What the environment refers to and `streams` must outlive the service, and the service every
  // call.
  AttentionServiceImpl(const CallEnvironment& environment, DecodeStreams& streams,
                       const v1::GetServerInfoResponse& info);

  Reactor* SelfAttention(Context* context, const Bytes* request, Bytes* response) override {
    return StartCall(Method::kSelfAttention, {context, request, response});
  }
  Reactor* MaskedAttention(Context* context, const Bytes* request, Bytes* response) override {
    return StartCall(Method::kMaskedAttention, {context, request, response});
  }
  Reactor* MultiHeadAttention(Context* context, const Bytes* request, Bytes* response) override {
    return StartCall(Method::kMultiHeadAttention, {context, request, response});
  }
  Reactor* CrossAttention(Context* context, const Bytes* request, Bytes* response) override {
    return StartCall(Method::kCrossAttention, {context, request, response});
  }
  Reactor* ScaledDotProductAttention(Context* context, const Bytes* request,
                                     Bytes* response) override {
    return StartCall(Method::kScaledDotProductAttention, {context, request, response});
  }
  grpc::ServerBidiReactor<Bytes, Bytes>* DecodeAttention(Context* context) override;
  Reactor* ApplyRotaryEmbedding(Context* context, const Bytes* request, Bytes* response) override {
    return StartCall(Method::kApplyRotaryEmbedding, {context, request, response});
  }
  Reactor* MergeAttentionStates(Context* context, const Bytes* request, Bytes* response) override {
    return StartCall(Method::kMergeAttentionStates, {context, request, response});
  }
  Reactor* ListLayers(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* GetLayer(Context* context, const Bytes* request, Bytes* response) override;
  Reactor* GetServerInfo(Context* context, const Bytes* request, Bytes* response) override;

 private:
  Reactor* StartCall(Method method, const AttentionCall::Exchange& exchange);
  [[nodiscard]] Bytes LayerList();

  const CallEnvironment environment_;
  DecodeStreams& streams_;
  const Bytes info_;

  std::mutex layer_list_mutex_;
  Bytes layer_list_;  // guarded by the mutex, as the next
  std::weak_ptr<const LayerSet> listed_layers_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_ATTENTION_SERVICE_H_
