// attention.v1.AttentionService over gRPC's callback interface.

#ifndef ATTENTION_SERVER_ATTENTION_SERVICE_H_
#define ATTENTION_SERVER_ATTENTION_SERVICE_H_

#include <memory>
#include <mutex>

#include "attention/v1/attention_service.grpc.pb.h"
#include "server/attention_call.h"

namespace attention::server {

// Requests arrive as bytes, so that bytes which are no request get INVALID_ARGUMENT (gRPC itself
// would answer UNIMPLEMENTED or INTERNAL), and answers leave without a copy.
using RawAttentionService = v1::AttentionService::WithRawCallbackMethod_SelfAttention<
    v1::AttentionService::WithRawCallbackMethod_MaskedAttention<
        v1::AttentionService::WithRawCallbackMethod_MultiHeadAttention<
            v1::AttentionService::WithRawCallbackMethod_CrossAttention<
                v1::AttentionService::WithRawCallbackMethod_ScaledDotProductAttention<
                    v1::AttentionService::WithRawCallbackMethod_ApplyRotaryEmbedding<
                        v1::AttentionService::WithRawCallbackMethod_MergeAttentionStates<
                            v1::AttentionService::WithRawCallbackMethod_ListLayers<
                                v1::AttentionService::WithRawCallbackMethod_GetLayer<
                                    v1::AttentionService::WithRawCallbackMethod_GetServerInfo<
                                        v1::AttentionService::Service>>>>>>>>>>;

class AttentionServiceImpl final : public RawAttentionService {
 public:
  // What the environment refers to must outlive the service, and the service every call.
  AttentionServiceImpl(const CallEnvironment& environment, const v1::GetServerInfoResponse& info);

  grpc::ServerUnaryReactor* SelfAttention(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* MaskedAttention(grpc::CallbackServerContext* context,
                                            const grpc::ByteBuffer* request,
                                            grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* MultiHeadAttention(grpc::CallbackServerContext* context,
                                               const grpc::ByteBuffer* request,
                                               grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* CrossAttention(grpc::CallbackServerContext* context,
                                           const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ScaledDotProductAttention(grpc::CallbackServerContext* context,
                                                      const grpc::ByteBuffer* request,
                                                      grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ApplyRotaryEmbedding(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* request,
                                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* MergeAttentionStates(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* request,
                                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListLayers(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* request,
                                       grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetLayer(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const grpc::ByteBuffer* request,
                                          grpc::ByteBuffer* response) override;

 private:
  grpc::ServerUnaryReactor* StartCall(Method method, const AttentionCall::Exchange& exchange);
  [[nodiscard]] grpc::ByteBuffer layer_list();

  const CallEnvironment environment_;
  const grpc::ByteBuffer info_;

  std::mutex layer_list_mutex_;
  grpc::ByteBuffer layer_list_;  // guarded by the mutex, as the next
  std::weak_ptr<const LayerSet> listed_layers_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_ATTENTION_SERVICE_H_
