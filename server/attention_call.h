// One call of an attention method, from its bytes to its answer.

#ifndef ATTENTION_SERVER_ATTENTION_CALL_H_
#define ATTENTION_SERVER_ATTENTION_CALL_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/codec/decoded_request.h"
#include "server/codec/request_decoder.h"
#include "server/core/attention_engine.h"
#include "server/core/byte_budget.h"
#include "server/core/layer.h"
#include "server/core/request_context.h"
#include "server/core/service_metrics.h"
#include "server/json_log.h"
#include "server/rate_limiter.h"
#include "server/unread_answers.h"

namespace attention::server {

// What calls share. Everything outlives them.
struct CallEnvironment {
  AttentionEngine& engine;
  ServiceMetrics& metrics;
  const Clock& clock;
  JsonLog& log;
  RateLimiter& failure_log_limiter;
  std::chrono::seconds max_deadline;
  RequestDefaults defaults;  // but for the layers, which change
  const LayerRegistry& layers;
  UnreadAnswers& unread_answers;

  // Calls whose answer gRPC has not yet sent.
  std::atomic<int64_t>& live_call_count;
};

// Owns all that the call needs: permits, message, task and context. gRPC owns the call, which
// deletes itself when gRPC is done with it. Runs on gRPC's threads up to the queue, and on a
// compute thread from there; gRPC may cancel it from a third at any time.
class AttentionCall final : public grpc::ServerUnaryReactor {
 public:
  struct Exchange {
    grpc::CallbackServerContext* context;
    const grpc::ByteBuffer* request;
    grpc::ByteBuffer* response;
  };

  // May throw std::bad_alloc.
  AttentionCall(const CallEnvironment& environment, Method method, const Exchange& exchange);

  // Answers at once, or hands the task to the engine, which will.
  void Start() noexcept;

  void OnCancel() override { context_->Cancel(); }
  void OnDone() override;

 private:
  void RecordCutOff() noexcept;
  [[nodiscard]] absl::Status AdmitAndDecode();
  [[nodiscard]] absl::Status Rejected(Rejection reason, absl::Status status);
  void Complete(absl::StatusOr<AttentionAnswer> answer);
  void Answer(AttentionAnswer answer);
  void FinishWith(absl::Status status) noexcept;  // the call may be gone when this returns
  void DropRequest();
  [[nodiscard]] grpc::Status PrepareFinish(const absl::Status& status);
  void RecordFinished(const absl::Status& status);
  void LogFinished(const absl::Status& status, double total_seconds);

  const CallEnvironment& environment_;
  const Method method_;
  const Exchange exchange_;
  const int64_t request_bytes_;
  const std::shared_ptr<RequestContext> context_;
  ByteBudget::Permit request_permit_;
  ByteBudget::Permit conversion_permit_;
  ByteBudget::Permit answer_permit_;
  std::unique_ptr<google::protobuf::Message> message_;
  DecodedCall decoded_;
  StageTimes times_;
  absl::Status cut_off_;  // not OK where no whole message came
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_ATTENTION_CALL_H_
