#include "tests/client/fake_service.h"

#include <thread>
#include <type_traits>
#include <utility>

#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace attention::client {

FakeService::FakeService() {
  v1::Tensor* output = answer_.mutable_output();
  output->set_data_type(v1::DATA_TYPE_F32);
  output->add_shape(1);
  output->add_shape(1);
  output->set_raw(std::string("\0\0\x80\x3f", 4));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(static_cast<v1::AttentionService::Service*>(this));
  server_ = builder.BuildAndStart();
  SetServing(true);
}

FakeService::~FakeService() { server_->Shutdown(); }

std::string FakeService::address() const { return "127.0.0.1:" + std::to_string(port_); }

void FakeService::FailNext(std::deque<ScriptedFailure> failures) {
  const std::lock_guard lock(mutex_);
  failures_ = std::move(failures);
}

void FakeService::AnswerWith(v1::AttentionResponse response) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(response);
}

void FakeService::HoldCalls() {
  const std::lock_guard lock(mutex_);
  hold_calls_ = true;
}

void FakeService::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus("attention.v1.AttentionService", serving);
}

int FakeService::call_count() const {
  const std::lock_guard lock(mutex_);
  return call_count_;
}

std::string FakeService::last_method() const {
  const std::lock_guard lock(mutex_);
  return last_method_;
}

std::chrono::milliseconds FakeService::last_remaining() const {
  const std::lock_guard lock(mutex_);
  return last_remaining_;
}

// Has everything that a layer can have.
void FillLayer(v1::Layer* layer) {
  layer->set_name("encoder.0");
  layer->set_data_type(v1::DATA_TYPE_BF16);
  layer->set_head_count(4);
  layer->set_key_value_head_count(2);
  layer->set_format("keras");
  int64_t width = 1;
  for (v1::Layer::LinearMap* map : {layer->mutable_query(), layer->mutable_key(),
                                    layer->mutable_value(), layer->mutable_output()}) {
    map->set_input_width(width++);
    map->set_output_width(width++);
  }
  layer->mutable_query()->set_has_bias(true);
  layer->set_appends_key_value(true);
  layer->set_scale(0.5);
  for (int head = 0; head < 4; ++head) layer->add_sinks(head);
}

template <typename Request, typename Response>
grpc::Status FakeService::Handle(const char* method, grpc::ServerContext* context,
                                 const Request& request, Response* response) {
  const std::lock_guard lock(mutex_);
  ++call_count_;
  last_method_ = method;
  last_request_ = request.SerializeAsString();
  last_remaining_ = std::chrono::duration_cast<std::chrono::milliseconds>(
      context->deadline() - std::chrono::system_clock::now());
  while (hold_calls_ && !context->IsCancelled())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!failures_.empty()) {
    const ScriptedFailure failure = std::move(failures_.front());
    failures_.pop_front();
    for (const std::string& value : failure.pushbacks)
      context->AddTrailingMetadata("grpc-retry-pushback-ms", value);
    return failure.status;
  }
  if constexpr (std::is_same_v<Response, v1::AttentionResponse>) {
    *response = answer_;
  } else if constexpr (std::is_same_v<Response, v1::GetLayerResponse>) {
    FillLayer(response->mutable_layer());
  } else if constexpr (std::is_same_v<Response, v1::ListLayersResponse>) {
    FillLayer(response->add_layers());
    response->add_layers()->set_name("other");
  } else if constexpr (!std::is_same_v<Response, v1::GetServerInfoResponse>) {
    *response->mutable_output() = answer_.output();
    *response->mutable_execution() = answer_.execution();
    if constexpr (std::is_same_v<Response, v1::MergeAttentionStatesResponse>) {
      if (answer_.has_log_sum_exp()) *response->mutable_log_sum_exp() = answer_.log_sum_exp();
    }
  } else {
    response->set_version("1.2.3");
    response->add_implementations("fused");
    response->add_implementations("reference");
    response->set_instruction_set("avx2");
    response->set_compute_thread_count(4);
    response->set_max_request_bytes(5);
    response->set_max_response_bytes(6);
    response->set_max_request_flops(7);
    response->set_max_request_float64_flops(8);
    response->set_queue_capacity(9);
    response->set_default_precision(v1::PRECISION_BF16_X6);
  }
  return grpc::Status::OK;
}

grpc::Status FakeService::SelfAttention(grpc::ServerContext* context,
                                        const v1::SelfAttentionRequest* request,
                                        v1::AttentionResponse* response) {
  return Handle("SelfAttention", context, *request, response);
}

grpc::Status FakeService::MaskedAttention(grpc::ServerContext* context,
                                          const v1::MaskedAttentionRequest* request,
                                          v1::AttentionResponse* response) {
  return Handle("MaskedAttention", context, *request, response);
}

grpc::Status FakeService::MultiHeadAttention(grpc::ServerContext* context,
                                             const v1::MultiHeadAttentionRequest* request,
                                             v1::AttentionResponse* response) {
  return Handle("MultiHeadAttention", context, *request, response);
}

grpc::Status FakeService::CrossAttention(grpc::ServerContext* context,
                                         const v1::CrossAttentionRequest* request,
                                         v1::AttentionResponse* response) {
  return Handle("CrossAttention", context, *request, response);
}

grpc::Status FakeService::ScaledDotProductAttention(
    grpc::ServerContext* context, const v1::ScaledDotProductAttentionRequest* request,
    v1::AttentionResponse* response) {
  return Handle("ScaledDotProductAttention", context, *request, response);
}

grpc::Status FakeService::ApplyRotaryEmbedding(grpc::ServerContext* context,
                                               const v1::ApplyRotaryEmbeddingRequest* request,
                                               v1::ApplyRotaryEmbeddingResponse* response) {
  return Handle("ApplyRotaryEmbedding", context, *request, response);
}

grpc::Status FakeService::MergeAttentionStates(grpc::ServerContext* context,
                                               const v1::MergeAttentionStatesRequest* request,
                                               v1::MergeAttentionStatesResponse* response) {
  return Handle("MergeAttentionStates", context, *request, response);
}

grpc::Status FakeService::ListLayers(grpc::ServerContext* context,
                                     const v1::ListLayersRequest* request,
                                     v1::ListLayersResponse* response) {
  return Handle("ListLayers", context, *request, response);
}

grpc::Status FakeService::GetLayer(grpc::ServerContext* context, const v1::GetLayerRequest* request,
                                   v1::GetLayerResponse* response) {
  return Handle("GetLayer", context, *request, response);
}

grpc::Status FakeService::GetServerInfo(grpc::ServerContext* context,
                                        const v1::GetServerInfoRequest* request,
                                        v1::GetServerInfoResponse* response) {
  return Handle("GetServerInfo", context, *request, response);
}

}  // namespace attention::client
