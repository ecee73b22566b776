#include "server/request_work.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

#include "server/call_identity.h"
#include "server/codec/response_encoder.h"
#include "server/codec/tensor_codec.h"
#include "server/codec/wire_message.h"
#include "server/core/status_macros.h"
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
                                           grpc::CallbackServerContext& call,
                                           std::string request_id) {
  const TimePoint deadline = EffectiveDeadline(call.deadline(), std::chrono::system_clock::now(),
                                               environment.clock.Now(), environment.max_deadline);
  return std::make_shared<RequestContext>(std::move(request_id), deadline, environment.clock);
}

// The caller's traceparent, or nothing if there is none or it is not one.
std::string_view Traceparent(const grpc::CallbackServerContext& call) {
  const auto found = call.client_metadata().find(kTraceparentHeader);
  if (found == call.client_metadata().end()) return {};
  const std::string_view text(found->second.data(), found->second.size());
  return IsTraceparent(text) ? text : std::string_view();
}

}  // namespace

std::optional<int64_t> SuppressedLines(const CallEnvironment& environment, LogLevel level) {
  if (!environment.log.Writes(level)) return std::nullopt;
  return level == LogLevel::kInfo ? environment.failure_log_limiter.Allow() : 0;
}

RequestWork::RequestWork(const CallEnvironment& environment, Method method,
                         grpc::CallbackServerContext& call, std::string request_id,
                         int64_t request_bytes, Owner& owner)
    : environment_(environment),
      method_(method),
      call_(call),
      request_bytes_(request_bytes),
      context_(NewContext(environment, call, std::move(request_id))),
      owner_(owner) {}

absl::Status RequestWork::Admit(grpc::ByteBuffer& bytes) {
  absl::StatusOr<ByteBudget::Permit> permit = environment_.engine.AdmitRequest(request_bytes_);
  if (!permit.ok()) return permit.status();
  request_permit_ = *std::move(permit);

  message_ = NewRequestMessage(method_);
  if (absl::Status status = ParseWireMessage(bytes, *message_); !status.ok()) {
    const bool unknown = absl::IsUnimplemented(status);
    return Rejected(unknown ? Rejection::kUnknownField : Rejection::kMalformed, std::move(status));
  }
  absl::StatusOr<ByteBudget::Permit> conversion =
      environment_.engine.ReserveConversion(ConvertedBytes(*message_), request_bytes_);
  if (!conversion.ok()) {
    DropRequest();  // who waits for room must not take it
    return conversion.status();
  }
  conversion_permit_ = *std::move(conversion);
  // Else large requests would be held twice for as long as they are computed.
  bytes.Clear();
  return absl::OkStatus();
}

absl::Status RequestWork::Decode(StreamDecoding* stream) {
  RequestDefaults defaults = environment_.defaults;
  defaults.layers = environment_.layers.layers();
  absl::StatusOr<DecodedCall> decoded = DecodeRequestOf(method_, *message_, defaults, stream);
  if (!decoded.ok()) return Rejected(Rejection::kInvalid, std::move(decoded).status());
  decoded_ = *std::move(decoded);
  return absl::OkStatus();
}

absl::Status RequestWork::Rejected(Rejection reason, absl::Status status) {
  environment_.metrics.RequestRejected(reason);
  return status;
}

void RequestWork::Submit(grpc::ByteBuffer& response) {
  response_ = &response;
  environment_.engine.Submit(
      method_, TaskOf(decoded_), context_, request_permit_.bytes() + conversion_permit_.bytes(),
      [this](absl::StatusOr<AttentionAnswer> answer, const StageTimes& times) {
        times_ = times;
        owner_.OnAnswer(Complete(std::move(answer)));
      });
}

absl::Status RequestWork::Complete(absl::StatusOr<AttentionAnswer> answer) {
  if (!answer.ok()) return answer.status();
  try {
    Answer(*std::move(answer));
  } catch (const std::bad_alloc&) {
    answer_permit_ = {};
    return environment_.engine.out_of_memory();
  }
  return absl::OkStatus();
}

void RequestWork::Answer(AttentionAnswer answer) {
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
  *response_ = EncodeResponse(std::move(answer.result), decoded_, execution);
}

void RequestWork::DropRequest() {
  decoded_ = {};
  message_.reset();
  conversion_permit_ = {};
  request_permit_ = {};
}

grpc::Status RequestWork::Finish(absl::Status status, const grpc::ByteBuffer& response) noexcept {
  DropRequest();
  grpc::Status finish;
  try {
    finish = PrepareFinish(status);
  } catch (const std::bad_alloc&) {
    status = environment_.engine.out_of_memory();
    finish = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "");
  }
  RecordFinished(status, response);
  return finish;
}

// All of the end that needs memory.
grpc::Status RequestWork::PrepareFinish(const absl::Status& status) {
  if (absl::IsResourceExhausted(status)) {
    const int64_t pushback =
        std::max<int64_t>(environment_.engine.RetryPushbackMilliseconds(), least_pushback_.count());
    call_.AddTrailingMetadata(kRetryPushbackTrailer, std::to_string(pushback));
  }
  return ToGrpcStatus(status, context_->request_id());
}

void RequestWork::RecordFinished(const absl::Status& status, const grpc::ByteBuffer& response) {
  const double total_seconds = Seconds(environment_.clock.Now() - context_->arrival());
  const int64_t response_bytes = status.ok() ? static_cast<int64_t>(response.Length()) : 0;
  environment_.metrics.RequestFinished(method_, status.code(), total_seconds, response_bytes);
  LogFinished(status, total_seconds);
}

void RequestWork::LogFinished(const absl::Status& status, double total_seconds) {
  const LogLevel level = status.ok() ? LogLevel::kDebug : LogLevel::kInfo;
  const std::optional<int64_t> suppressed = SuppressedLines(environment_, level);
  if (!suppressed.has_value()) return;
  const absl::string_view detail = status.message();
  environment_.log.Write(level, "request finished",
                         {{"request_id", context_->request_id()},
                          {"traceparent", Traceparent(call_)},
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
