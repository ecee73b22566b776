#include "server/decode_stream.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <new>
#include <utility>
#include <variant>
#include <vector>

#include "server/call_identity.h"
#include "server/codec/wire_message.h"
#include "server/core/status_macros.h"
#include "server/status_code_names.h"
#include "server/status_mapping.h"

namespace attention::server {
namespace {

// Requests of up to this many bytes wait for room.
constexpr size_t kMaxWaitingBytes = size_t{1} << 20;

// Other streams end when they like, which does not depend on what the queue does.
constexpr std::chrono::milliseconds kCachePushback{1000};

// Why a stream ended as it should.
constexpr std::string_view kClosed = "closed";

// These take no memory.
grpc::Status OutOfMemory() { return {grpc::StatusCode::RESOURCE_EXHAUSTED, ""}; }
grpc::Status Draining() { return {grpc::StatusCode::UNAVAILABLE, "draining"}; }

}  // namespace

bool DecodeStreams::Add(DecodeStream& stream) {
  const std::lock_guard lock(mutex_);
  if (!ended_) streams_.insert(&stream);
  return !ended_;
}

void DecodeStreams::Remove(DecodeStream& stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(&stream);
}

int64_t DecodeStreams::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(streams_.size());
}

void DecodeStreams::EndAll() {
  while (DecodeStream* const stream = TakeOne()) stream->Finish(Draining());
}

// Marks all. Who is taken may leave the set as soon as it is finished, and takes its lock for that.
DecodeStream* DecodeStreams::TakeOne() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (DecodeStream* stream : streams_) {
    if (stream->TakeEnd()) return stream;
  }
  return nullptr;
}

DecodeStream::DecodeStream(const CallEnvironment& environment, DecodeStreams& streams,
                           grpc::CallbackServerContext& call)
    : environment_(environment),
      streams_(streams),
      call_(call),
      request_id_(NewRequestId()),
      cache_(streams.budget_) {
  call_.AddInitialMetadata(kRequestIdHeader, request_id_);
  // Not assigned to ending_: once there, it may be told to end at any time.
  if (!streams_.Add(*this)) (void)TakeEnd();
  environment_.live_call_count.fetch_add(1, std::memory_order_relaxed);  // last: nothing throws now
}

void DecodeStream::OnDone() {
  environment_.late_calls.Remove(call_);
  LogEnd();
  streams_.Remove(*this);
  std::atomic<int64_t>& live_call_count = environment_.live_call_count;
  delete this;
  live_call_count.fetch_sub(1, std::memory_order_relaxed);
}

void DecodeStream::OnCancel() {
  std::shared_ptr<RequestContext> context;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    context = context_;
  }
  if (context != nullptr) context->Cancel();
}

bool DecodeStream::TakeEnd() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  if (state_ != State::kWaiting) return false;
  state_ = State::kEnded;
  end_reason_ = "draining";
  return true;
}

void DecodeStream::Wait() noexcept {
  try {
    idle_end_ = environment_.clock.Now() + streams_.max_idle_;
    environment_.late_calls.Add(call_, idle_end_);
  } catch (const std::bad_alloc&) {
    End(OutOfMemory(), "out of memory");
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (!ending_) {
      state_ = State::kWaiting;
      StartRead(&request_);
      return;
    }
  }
  End(Draining(), "draining");
}

// Not OK: the caller has sent all that it wanted, or is gone. Of a last request that was cut off
// gRPC says no more than that.
void DecodeStream::OnReadDone(bool ok) {
  environment_.late_calls.Remove(call_);
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kEnded) return;
    state_ = State::kWorking;
  }
  if (ok) {
    Begin();
  } else if (environment_.clock.Now() >= idle_end_) {
    End(grpc::Status::CANCELLED, "idle");  // by LateCalls
  } else if (call_.IsCancelled()) {
    End(grpc::Status::CANCELLED, "cancelled");
  } else {
    End(grpc::Status::OK, kClosed);
  }
}

void DecodeStream::Begin() noexcept {
  const auto request_bytes = static_cast<int64_t>(request_.Length());
  environment_.metrics.RequestStarted(Method::kDecodeAttention, request_bytes);
  Owner& owner = *this;
  try {
    work_.emplace(environment_, Method::kDecodeAttention, call_, request_id_, request_bytes, owner);
  } catch (const std::bad_alloc&) {
    environment_.metrics.RequestFinished(Method::kDecodeAttention,
                                         absl::StatusCode::kResourceExhausted, 0, 0);
    End(OutOfMemory(), "out of memory");
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    context_ = work_->context();
    if (cancelled_) context_->Cancel();
  }
  Admit();
}

void DecodeStream::Admit() noexcept {
  absl::Status status = work_->context()->StopStatus();
  if (!status.ok()) environment_.metrics.RequestStopped(status.code());
  try {
    if (status.ok()) status = CheckWhole(request_);
    if (status.ok()) status = AdmitBytes();
    if (MayWaitForRoom(status)) return WaitForRoom();
    if (status.ok()) status = DecodeAndAppend();
  } catch (const std::bad_alloc&) {
    status = environment_.engine.out_of_memory();
  }
  if (status.ok()) {
    work_->Submit(response_);
  } else {
    EndWith(std::move(status));
  }
}

// What a stream has would be lost with it. Its first request has nothing to lose.
bool DecodeStream::IsKept() const {
  return answer_count_ > 0 && request_.Length() <= kMaxWaitingBytes;
}

// A request that may have to wait is kept as it came: what it is parsed to takes room.
absl::Status DecodeStream::AdmitBytes() {
  grpc::ByteBuffer bytes = request_;  // the same memory
  if (!IsKept()) request_.Clear();
  return work_->Admit(bytes);
}

absl::Status DecodeStream::DecodeAndAppend() {
  row_count_before_ = cache_.key().extents[2];
  StreamDecoding stream{.cache = cache_, .added = {}};
  ATTENTION_RETURN_IF_ERROR(work_->Decode(&stream));
  for (const KeyValueRows& rows : stream.added) {
    if (absl::Status status = cache_.Append(rows.key, rows.value); !status.ok()) {
      const bool full = absl::IsResourceExhausted(status);
      environment_.metrics.RequestRejected(full ? Rejection::kCacheFull : Rejection::kOverLimit);
      work_->RetryNotBefore(kCachePushback);
      return status;
    }
  }
  AttentionTask& task = std::get<DecodedRequest>(work_->decoded()).task;
  task.key.view = cache_.key();
  task.value.view = cache_.value();
  return absl::OkStatus();
}

void DecodeStream::OnAnswer(const absl::Status& status) noexcept {
  if (status.ok()) return Send();
  if (MayWaitForRoom(status)) {
    // Else requests that wait could hold all room, each waiting for the others'.
    work_->DropRequest();
    cache_.Truncate(row_count_before_);
    try {
      return WaitForRoom();
    } catch (const std::bad_alloc&) {
    }
  }
  EndWith(status);
}

bool DecodeStream::MayWaitForRoom(const absl::Status& status) {
  if (!absl::IsResourceExhausted(status) || status == environment_.engine.out_of_memory()) {
    return false;
  }
  if (request_.Length() == 0 || work_->context()->StopRequested()) return false;
  const auto request_bytes = static_cast<int64_t>(request_.Length());
  if (!waiting_permit_) waiting_permit_ = streams_.waiting_budget_.TryAcquire(request_bytes);
  return static_cast<bool>(waiting_permit_);
}

// The longer it has waited, the longer a pause, in which nobody notices that the caller has gone.
// May throw std::bad_alloc, and has then done nothing.
void DecodeStream::WaitForRoom() {
  constexpr int kPauses = 8;
  constexpr TimePoint::duration kLongestPause = std::chrono::seconds(1);
  const auto waited = environment_.clock.Now() - work_->context()->arrival();
  const std::chrono::milliseconds least(environment_.engine.RetryPushbackMilliseconds());
  const auto pause = std::clamp(waited / kPauses,
                                std::min<TimePoint::duration>(least, kLongestPause), kLongestPause);
  alarm_.emplace();
  alarm_->Set(std::chrono::system_clock::now() + pause, [this](bool) { Admit(); });
}

void DecodeStream::Send() noexcept {
  work_->DropRequest();
  request_.Clear();
  waiting_permit_ = {};
  work_->RecordFinished(absl::OkStatus(), response_);
  ++answer_count_;
  try {
    environment_.late_calls.Add(call_, work_->context()->deadline());
  } catch (const std::bad_alloc&) {
    End(OutOfMemory(), "out of memory");
    return;
  }
  StartWrite(&response_);
}

void DecodeStream::OnWriteDone(bool ok) {
  environment_.late_calls.Remove(call_);
  response_.Clear();
  {
    const std::lock_guard lock(mutex_);
    context_.reset();
  }
  work_.reset();
  if (ok) {
    Wait();
  } else {
    End(grpc::Status::CANCELLED, "cancelled");
  }
}

void DecodeStream::EndWith(absl::Status status) noexcept {
  const std::string_view reason = CodeName(status.code());
  const grpc::Status finish = work_->Finish(std::move(status), response_);
  request_.Clear();
  waiting_permit_ = {};
  cache_.Clear();
  End(finish, reason);
}

void DecodeStream::End(const grpc::Status& status, std::string_view reason) {
  {
    const std::lock_guard lock(mutex_);
    state_ = State::kEnded;
    end_reason_ = reason;
  }
  Finish(status);
}

void DecodeStream::LogEnd() {
  const LogLevel level = end_reason_ == kClosed ? LogLevel::kDebug : LogLevel::kInfo;
  const std::optional<int64_t> suppressed = SuppressedLines(environment_, level);
  if (!suppressed.has_value()) return;
  environment_.log.Write(level, "stream ended",
                         {{"request_id", request_id_},
                          {"reason", end_reason_},
                          {"answers", answer_count_},
                          {"suppressed_lines", *suppressed}});
}

}  // namespace attention::server
