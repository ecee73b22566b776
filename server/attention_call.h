// One call of an attention method, from its bytes to its answer.

#ifndef ATTENTION_SERVER_ATTENTION_CALL_H_
#define ATTENTION_SERVER_ATTENTION_CALL_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "server/core/service_metrics.h"
#include "server/request_work.h"

namespace attention::server {

// Owns all that the call needs: permits, message, task and context. gRPC owns the call, which
// deletes itself when gRPC is done with it. Runs on gRPC's threads up to the queue, and on a
// compute thread from there; gRPC may cancel it from a third at any time.
class AttentionCall final : public grpc::ServerUnaryReactor, private RequestWork::Owner {
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

  void OnCancel() override { work_.context()->Cancel(); }
  void OnDone() override;

 private:
  void OnAnswer(const absl::Status& status) noexcept override { FinishWith(status); }
  void RecordCutOff() noexcept;
  [[nodiscard]] absl::Status AdmitAndDecode();
  void FinishWith(absl::Status status) noexcept;  // the call may be gone when this returns

  const CallEnvironment& environment_;
  const Method method_;
  const Exchange exchange_;
  RequestWork work_;
  absl::Status cut_off_;  // not OK where no whole message came
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_ATTENTION_CALL_H_
