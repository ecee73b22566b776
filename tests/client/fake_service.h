// An attention service inside the test, on a port of its own, whose answers the test writes.

#ifndef ATTENTION_TESTS_CLIENT_FAKE_SERVICE_H_
#define ATTENTION_TESTS_CLIENT_FAKE_SERVICE_H_

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "attention/v1/attention_service.grpc.pb.h"
#include "grpcpp/server.h"

namespace attention::client {

// One scripted failure; an answer after the last.
struct ScriptedFailure {
  grpc::Status status;
  std::vector<std::string> pushbacks;  // values of grpc-retry-pushback-ms
};

class FakeService final : private v1::AttentionService::Service {
 public:
  FakeService();
  ~FakeService() override;

  [[nodiscard]] std::string address() const;

  // The next calls fail in this order.
  void FailNext(std::deque<ScriptedFailure> failures);

  // What the attention methods answer once the failures are used up. By default an output of shape
  // [1, 1] that holds 1.0f. Every other method that returns tensors returns of this what it has.
  void AnswerWith(v1::AttentionResponse response);

  // From now on calls are not answered before their caller has given up.
  void HoldCalls();

  // What the health service says about the whole server and about attention.v1.AttentionService. At
  // first: serving.
  void SetServing(bool serving);

  [[nodiscard]] int call_count() const;

  // Of the last call: the method's name and the request's bytes.
  [[nodiscard]] std::string last_method() const;
  template <typename Request>
  [[nodiscard]] Request last_request() const {
    const std::lock_guard lock(mutex_);
    Request request;
    request.ParseFromString(last_request_);
    return request;
  }

  // The time the last call's deadline left, as the server saw it.
  [[nodiscard]] std::chrono::milliseconds last_remaining() const;

 private:
  template <typename Request, typename Response>
  grpc::Status Handle(const char* method, grpc::ServerContext* context, const Request& request,
                      Response* response);

  grpc::Status SelfAttention(grpc::ServerContext* context, const v1::SelfAttentionRequest* request,
                             v1::AttentionResponse* response) override;
  grpc::Status MaskedAttention(grpc::ServerContext* context,
                               const v1::MaskedAttentionRequest* request,
                               v1::AttentionResponse* response) override;
  grpc::Status MultiHeadAttention(grpc::ServerContext* context,
                                  const v1::MultiHeadAttentionRequest* request,
                                  v1::AttentionResponse* response) override;
  grpc::Status CrossAttention(grpc::ServerContext* context,
                              const v1::CrossAttentionRequest* request,
                              v1::AttentionResponse* response) override;
  grpc::Status ScaledDotProductAttention(grpc::ServerContext* context,
                                         const v1::ScaledDotProductAttentionRequest* request,
                                         v1::AttentionResponse* response) override;
  grpc::Status ApplyRotaryEmbedding(grpc::ServerContext* context,
                                    const v1::ApplyRotaryEmbeddingRequest* request,
                                    v1::ApplyRotaryEmbeddingResponse* response) override;
  grpc::Status MergeAttentionStates(grpc::ServerContext* context,
                                    const v1::MergeAttentionStatesRequest* request,
                                    v1::MergeAttentionStatesResponse* response) override;
  grpc::Status ListLayers(grpc::ServerContext* context, const v1::ListLayersRequest* request,
                          v1::ListLayersResponse* response) override;
  grpc::Status GetLayer(grpc::ServerContext* context, const v1::GetLayerRequest* request,
                        v1::GetLayerResponse* response) override;
  grpc::Status GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                             v1::GetServerInfoResponse* response) override;

  mutable std::mutex mutex_;
  std::deque<ScriptedFailure> failures_;
  v1::AttentionResponse answer_;
  bool hold_calls_ = false;
  int call_count_ = 0;
  std::string last_method_;
  std::string last_request_;
  std::chrono::milliseconds last_remaining_{0};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace attention::client

#endif  // ATTENTION_TESTS_CLIENT_FAKE_SERVICE_H_
