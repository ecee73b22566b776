#include "server/attention_call.h"

#include <grpcpp/server_context.h>

#include <new>
#include <utility>

#include "server/call_identity.h"
#include "server/codec/wire_message.h"
#include "server/core/status_macros.h"
#include "server/status_mapping.h"

namespace attention::server {

AttentionCall::AttentionCall(const CallEnvironment& environment, Method method,
                             const Exchange& exchange)
    : environment_(environment),
      method_(method),
      exchange_(exchange),
      work_(environment, method, *exchange.context, NewRequestId(),
            static_cast<int64_t>(exchange.request->Length()), *this) {
  exchange_.context->AddInitialMetadata(kRequestIdHeader, work_.context()->request_id());
  environment_.live_call_count.fetch_add(1, std::memory_order_relaxed);  // last: nothing throws now
}

void AttentionCall::OnDone() {
  if (!cut_off_.ok()) RecordCutOff();
  environment_.late_calls.Remove(*exchange_.context);
  std::atomic<int64_t>& live_call_count = environment_.live_call_count;
  delete this;
  live_call_count.fetch_sub(1, std::memory_order_relaxed);
}

void AttentionCall::Start() noexcept {
  environment_.metrics.RequestStarted(method_, static_cast<int64_t>(exchange_.request->Length()));
  absl::Status status;
  try {
    cut_off_ = CheckWhole(*exchange_.request);
    if (!cut_off_.ok()) {
      Finish(ToGrpcStatus(cut_off_, work_.context()->request_id()));
      return;
    }
    status = AdmitAndDecode();
  } catch (const std::bad_alloc&) {
    cut_off_ = absl::OkStatus();
    status = environment_.engine.out_of_memory();
  }
  if (!status.ok()) {
    FinishWith(status);
    return;
  }
  work_.Submit(*exchange_.response);
}

absl::Status AttentionCall::AdmitAndDecode() {
  // gRPC made this buffer for the call and does not look at it again.
  ATTENTION_RETURN_IF_ERROR(work_.Admit(const_cast<grpc::ByteBuffer&>(*exchange_.request)));
  return work_.Decode();
}

// Whether the caller has gone, or gRPC had no memory for the rest, is known at the end alone; else
// the caller ended its request too early and waited for the answer.
void AttentionCall::RecordCutOff() noexcept {
  const absl::Status stop = work_.context()->StopStatus();
  if (stop.ok()) {
    environment_.metrics.RequestRejected(Rejection::kMalformed);
  } else {
    environment_.metrics.RequestStopped(stop.code());
  }
  work_.RecordFinished(stop.ok() ? cut_off_ : stop, *exchange_.response);
}

void AttentionCall::FinishWith(absl::Status status) noexcept {
  if (status.ok()) {
    try {
      environment_.late_calls.Add(*exchange_.context, work_.context()->deadline());
    } catch (const std::bad_alloc&) {
      status = environment_.engine.out_of_memory();
    }
  }
  Finish(work_.Finish(std::move(status), *exchange_.response));
}

}  // namespace attention::server
