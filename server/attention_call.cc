#include "server/attention_call.h"

#include <grpcpp/server_context.h>

#include <new>
#include <string_view>
#include <utility>

#include "server/call_identity.h"
#include "server/codec/response_encoder.h"
#include "server/codec/tensor_codec.h"
#include "server/codec/wire_message.h"
#include "server/status_code_names.h"
#include "server/status_mapping.h"

namespace attention::server {
namespace {

constexpr char kTraceparentHeader[] = "traceparent";

double Seconds(TimePoint::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

int64_t Nanoseconds(TimePoint::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

std::shared_ptr<RequestContext> NewContext(const CallEnvironment& environment,
                                           grpc::CallbackServerContext& context) {
  const TimePoint deadline = EffectiveDeadline(context.deadline(), std::chrono::system_clock::now(),
                                               environment.clock.Now(), environment.max_deadline);
  return std::make_shared<RequestContext>(NewRequestId(), deadline, environment.clock);
}

// The caller's traceparent, or nothing if there is none or it is not one.
std::string_view Traceparent(const grpc::CallbackServerContext& context) {
  const auto found = context.client_metadata().find(kTraceparentHeader);
  if (found == context.client_metadata().end()) return {};
  const std::string_view text(found->second.data(), found->second.size());
  return IsTraceparent(text) ? text : std::string_view();
}

}  // namespace

AttentionCall::AttentionCall(const CallEnvironment& environment, Method method,
                             const Exchange& exchange)
    : environment_(environment),
      method_(method),
      exchange_(exchange),
      request_bytes_(static_cast<int64_t>(exchange.request->Length())),
      context_(NewContext(environment, *exchange.context)) {
  exchange_.context->AddInitialMetadata(kRequestIdHeader, context_->request_id());
  environment_.live_call_count.fetch_add(1, std::memory_order_relaxed);  // last: nothing throws now
}

void AttentionCall::OnDone() {
  if (!cut_off_.ok()) RecordCutOff();
  environment_.unread_answers.Remove(*exchange_.context);
  std::atomic<int64_t>& live_call_count = environment_.live_call_count;
  delete this;
  live_call_count.fetch_sub(1, std::memory_order_relaxed);
}

void AttentionCall::Start() noexcept {
  environment_.metrics.RequestStarted(method_, request_bytes_);
  absl::Status status;
  try {
    cut_off_ = CheckWhole(*exchange_.request);
    if (!cut_off_.ok()) {
      Finish(ToGrpcStatus(cut_off_, context_->request_id()));
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
  environment_.engine.Submit(
      method_, TaskOf(decoded_), context_, request_permit_.bytes() + conversion_permit_.bytes(),
      [this](absl::StatusOr<AttentionAnswer> answer, const StageTimes& times) {
        times_ = times;
        Complete(std::move(answer));
      });
}

// Whether the caller has gone, or gRPC had no memory for the rest, is known at the end alone; else
// the caller ended its request too early and waited for the answer.
void AttentionCall::RecordCutOff() noexcept {
  const absl::Status stop = context_->StopStatus();
  if (stop.ok()) {
    environment_.metrics.RequestRejected(Rejection::kMalformed);
  } else {
    environment_.metrics.RequestStopped(stop.code());
  }
  RecordFinished(stop.ok() ? cut_off_ : stop);
}

absl::Status AttentionCall::AdmitAndDecode() {
  absl::StatusOr<ByteBudget::Permit> permit = environment_.engine.AdmitRequest(request_bytes_);
  if (!permit.ok()) return permit.status();
  request_permit_ = *std::move(permit);

  message_ = NewRequestMessage(method_);
  if (absl::Status status = ParseWireMessage(*exchange_.request, *message_); !status.ok()) {
    const bool unknown = absl::IsUnimplemented(status);
    return Rejected(unknown ? Rejection::kUnknownField : Rejection::kMalformed, std::move(status));
  }
  // gRPC made this buffer for the call and does not look at it again; without this, large requests
  // would be held twice for as long as they are computed.
  const_cast<grpc::ByteBuffer*>(exchange_.request)->Clear();

  absl::StatusOr<ByteBudget::Permit> conversion =
      environment_.engine.ReserveConversion(ConvertedBytes(*message_), request_bytes_);
  if (!conversion.ok()) return conversion.status();
  conversion_permit_ = *std::move(conversion);

  RequestDefaults defaults = environment_.defaults;
  defaults.layers = environment_.layers.layers();
  absl::StatusOr<DecodedCall> decoded = DecodeRequestOf(method_, *message_, defaults);
  if (!decoded.ok()) return Rejected(Rejection::kInvalid, std::move(decoded).status());
  decoded_ = *std::move(decoded);
  return absl::OkStatus();
}

absl::Status AttentionCall::Rejected(Rejection reason, absl::Status status) {
  environment_.metrics.RequestRejected(reason);
  return status;
}

void AttentionCall::Complete(absl::StatusOr<AttentionAnswer> answer) {
  if (!answer.ok()) {
    FinishWith(answer.status());
    return;
  }
  absl::Status status;
  try {
    Answer(*std::move(answer));
  } catch (const std::bad_alloc&) {
    status = environment_.engine.out_of_memory();
  }
  FinishWith(status);
}

void AttentionCall::Answer(AttentionAnswer answer) {
  answer_permit_ = std::move(answer.permit);
  const kernels::AttentionReport& report = answer.result.report;
  v1::Execution execution;
  execution.set_implementation(std::string(report.implementation));
  execution.set_precision(std::string(report.precision));
  execution.set_thread_count(report.thread_count);
  execution.set_queue_ns(times_.queue_ns);
  execution.set_compute_ns(times_.compute_ns);
  execution.set_total_ns(Nanoseconds(environment_.clock.Now() - context_->arrival()));
  execution.set_request_id(context_->request_id());
  *exchange_.response = EncodeResponse(std::move(answer.result), decoded_, execution);
}

void AttentionCall::FinishWith(absl::Status status) noexcept {
  DropRequest();
  grpc::Status finish;
  try {
    finish = PrepareFinish(status);
  } catch (const std::bad_alloc&) {
    status = environment_.engine.out_of_memory();
    finish = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
  }
  RecordFinished(status);
  Finish(finish);
}

void AttentionCall::RecordFinished(const absl::Status& status) {
  const double total_seconds = Seconds(environment_.clock.Now() - context_->arrival());
  const int64_t response_bytes =
      status.ok() ? static_cast<int64_t>(exchange_.response->Length()) : 0;
  environment_.metrics.RequestFinished(method_, status.code(), total_seconds, response_bytes);
  LogFinished(status, total_seconds);
}

// An answer may wait for its caller for long; nothing of the request need wait with it.
void AttentionCall::DropRequest() {
  decoded_ = {};
  message_.reset();
  conversion_permit_ = {};
  request_permit_ = {};
}

// All of the end that needs memory.
grpc::Status AttentionCall::PrepareFinish(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) {
    exchange_.context->AddTrailingMetadata(
        kRetryPushbackTrailer, std::to_string(environment_.engine.RetryPushbackMilliseconds()));
  }
  grpc::Status finish = ToGrpcStatus(status, context_->request_id());
  if (status.ok()) environment_.unread_answers.Add(*exchange_.context, context_->deadline());
  return finish;
}

void AttentionCall::LogFinished(const absl::Status& status, double total_seconds) {
  const LogLevel level = status.ok() ? LogLevel::kDebug : LogLevel::kInfo;
  if (!environment_.log.Writes(level)) return;
  std::optional<int64_t> suppressed = 0;
  if (!status.ok()) suppressed = environment_.failure_log_limiter.Allow();
  if (!suppressed.has_value()) return;
  const absl::string_view detail = status.message();
  environment_.log.Write(level, "request finished",
                         {{"request_id", context_->request_id()},
                          {"traceparent", Traceparent(*exchange_.context)},
                          {"method", Name(method_)},
                          {"code", CodeName(status.code())},
                          {"detail", std::string_view(detail.data(), detail.size())},
                          {"total_seconds", total_seconds},
                          {"queue_seconds", static_cast<double>(times_.queue_ns) * 1e-9},
                          {"compute_seconds", static_cast<double>(times_.compute_ns) * 1e-9},
                          {"request_bytes", request_bytes_},
                          {"suppressed_lines", *suppressed}});
}

}  // namespace attention::server
