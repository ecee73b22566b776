// One request on its way through the service: what it holds, and what is recorded of it.

#ifndef ATTENTION_SERVER_REQUEST_WORK_H_
#define ATTENTION_SERVER_REQUEST_WORK_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
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
#include "server/late_calls.h"
#include "server/rate_limiter.h"

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
  LateCalls& late_calls;

  // Calls whose answer gRPC has not yet sent.
  std::atomic<int64_t>& live_call_count;
};

// How many lines were left out before one of this level that may be written now; nothing if it may
// not. Lines about what failed (kInfo) are limited, others only by the log.
[[nodiscard]] std::optional<int64_t> SuppressedLines(const CallEnvironment& environment,
                                                     LogLevel level);

// The message of a call, or one of a stream's. One thread at a time, but for context(), which any
// thread may cancel.
class RequestWork {
 public:
  // Whose work it is.
  class Owner {
   public:
    // With OK there is an answer. On a compute thread, or from within Submit. The work may be
    // destroyed here.
    virtual void OnAnswer(const absl::Status& status) noexcept = 0;

   protected:
    ~Owner() = default;
  };

  // References outlive it. May throw std::bad_alloc.
  RequestWork(const CallEnvironment& environment, Method method, grpc::CallbackServerContext& call,
              std::string request_id, int64_t request_bytes, Owner& owner);

  [[nodiscard]] const std::shared_ptr<RequestContext>& context() const { return context_; }

  // The first gate, then parses and empties `bytes`. An error that is kResourceExhausted leaves
  // them, so that this may be called again. May throw std::bad_alloc, as the next.
  [[nodiscard]] absl::Status Admit(grpc::ByteBuffer& bytes);

  // Makes the message a task, of a stream if the method is kDecodeAttention.
  [[nodiscard]] absl::Status Decode(StreamDecoding* stream = nullptr);

  // For a request that will be refused: the least pushback that its caller is told.
  void RetryNotBefore(std::chrono::milliseconds pushback) { least_pushback_ = pushback; }

  [[nodiscard]] DecodedCall& decoded() { return decoded_; }

  // Has the task computed and its answer written to `response`, and tells the owner.
  void Submit(grpc::ByteBuffer& response);

  // An answer may wait for its caller for long; nothing of the request need wait with it.
  void DropRequest();

  // The end: drops the request, records what became of it, and returns what gRPC sends. With OK,
  // `response` has the answer.
  [[nodiscard]] grpc::Status Finish(absl::Status status, const grpc::ByteBuffer& response) noexcept;

  // Of this, metrics and log alone.
  void RecordFinished(const absl::Status& status, const grpc::ByteBuffer& response);

 private:
  [[nodiscard]] grpc::Status PrepareFinish(const absl::Status& status);
  [[nodiscard]] absl::Status Rejected(Rejection reason, absl::Status status);
  [[nodiscard]] absl::Status Complete(absl::StatusOr<AttentionAnswer> answer);
  void Answer(AttentionAnswer answer);
  void LogFinished(const absl::Status& status, double total_seconds);

  const CallEnvironment& environment_;
  const Method method_;
  grpc::CallbackServerContext& call_;
  const int64_t request_bytes_;
  const std::shared_ptr<RequestContext> context_;
  Owner& owner_;
  ByteBudget::Permit request_permit_;
  ByteBudget::Permit conversion_permit_;
  ByteBudget::Permit answer_permit_;
  std::unique_ptr<google::protobuf::Message> message_;
  DecodedCall decoded_;
  StageTimes times_;
  grpc::ByteBuffer* response_ = nullptr;
  std::chrono::milliseconds least_pushback_{0};
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_REQUEST_WORK_H_
