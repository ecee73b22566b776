#include "server/core/attention_engine.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/guarded.h"
#include "server/core/layer_runner.h"

namespace attention::server {
namespace {

int64_t Nanoseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}

double Seconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

}  // namespace

AttentionEngine::AttentionEngine(const EngineOptions& options, const Clock& clock,
                                 ServiceMetrics& metrics, Log* log)
    : options_(options),
      clock_(clock),
      metrics_(metrics),
      log_(log),
      budget_(options.max_bytes_in_flight),
      pool_(options.thread_count, options.queue_capacity,
            [&metrics](int64_t depth) { metrics.QueueDepthChanged(depth); }) {}

absl::Status AttentionEngine::Rejected(Rejection reason, const absl::Status& status) {
  metrics_.RequestRejected(reason);
  return status;
}

absl::Status AttentionEngine::Stopped(const absl::Status& status) {
  metrics_.RequestStopped(status.code());
  return status;
}

absl::StatusOr<ByteBudget::Permit> AttentionEngine::AdmitRequest(int64_t request_bytes) {
  if (gate_.closed()) return Rejected(Rejection::kDraining, draining_);
  const absl::Status status = CheckRequestBytes(request_bytes, options_);
  if (!status.ok()) return Rejected(Rejection::kOverLimit, status);
  return Reserve(request_bytes);
}

absl::StatusOr<ByteBudget::Permit> AttentionEngine::ReserveConversion(int64_t converted_bytes,
                                                                      int64_t request_bytes) {
  const absl::Status status = CheckConvertedBytes(converted_bytes, request_bytes, options_);
  if (!status.ok()) return Rejected(Rejection::kOverLimit, status);
  return Reserve(converted_bytes);
}

absl::StatusOr<ByteBudget::Permit> AttentionEngine::Reserve(int64_t byte_count) {
  ByteBudget::Permit permit = budget_.TryAcquire(byte_count);
  if (!permit) {
    DropAbandoned();
    permit = budget_.TryAcquire(byte_count);
  }
  if (!permit) return Rejected(Rejection::kBytesInFlight, budget_full_);
  return permit;
}

double AttentionEngine::SecondsSince(TimePoint start) const {
  return Seconds(Nanoseconds(clock_.Now() - start));
}

// Concludes the waiting tasks that nobody waits for any more.
void AttentionEngine::DropAbandoned() {
  try {
    pool_.RunAbandoned();
  } catch (const std::bad_alloc&) {
    // They stay until their turn comes.
  }
}

// Checks, reserves memory and takes a place in the queue. If OK, the job owns the submission.
absl::Status AttentionEngine::TryAccept(Submission& submission, int64_t held_bytes) {
  const AnyTask& task = submission.task;
  if (absl::Status status = submission.context->StopStatus(); !status.ok()) return Stopped(status);
  if (absl::Status status = Validate(task); !status.ok())
    return Rejected(Rejection::kInvalid, status);
  submission.flops = TaskFlops(task);
  const TaskCosts costs = {.flops = submission.flops, .held_bytes = held_bytes};
  if (absl::Status status = CheckTask(task, costs, options_); !status.ok()) {
    return Rejected(Rejection::kOverLimit, status);
  }
  std::optional<Refusal> refusal = TryEnter(submission);
  if (refusal.has_value()) {
    DropAbandoned();
    refusal = TryEnter(submission);
  }
  return refusal.has_value() ? Rejected(refusal->reason, refusal->status) : absl::OkStatus();
}

// If there is room, the job owns the submission.
std::optional<Refusal> AttentionEngine::TryEnter(Submission& submission) {
  const AnyTask& task = submission.task;
  submission.answer_permit = {};
  submission.answer_permit = budget_.TryAcquire(ResultBytes(task));
  if (submission.answer_permit) {
    submission.scratch_permit = budget_.TryAcquire(ScratchBytes(task, options_.thread_count));
  }
  if (!submission.scratch_permit) return Refusal{Rejection::kBytesInFlight, budget_full_};
  submission.submitted = clock_.Now();
  absl::Status status = TryQueue(submission);
  if (status.ok()) return std::nullopt;
  submission.scratch_permit = {};
  return Refusal{Rejection::kQueueFull, std::move(status)};
}

// A submission that can share is in two queues: the one job that takes it from the other owns it.
absl::Status AttentionEngine::TryQueue(Submission& submission) {
  const auto ticket = sharing_.NewTicket(submission.task);
  ComputePool::Job job = [this, ticket, &submission](kernels::Executor& executor) {
    if (sharing_.Take(ticket)) RunJob(std::unique_ptr<Submission>(&submission), executor);
  };
  ComputePool::Abandoned abandoned = [this, ticket, context = submission.context] {
    return context->StopRequested() || sharing_.Taken(ticket);
  };
  sharing_.Add(ticket, submission);
  absl::Status status;
  try {
    status = pool_.TrySubmit(std::move(job), std::move(abandoned));
  } catch (const std::bad_alloc&) {
    status = out_of_memory_;
  }
  // Another job may have taken it already.
  return status.ok() || !sharing_.Take(ticket) ? absl::OkStatus() : status;
}

void AttentionEngine::Submit(Method method, const AnyTask& task,
                             std::shared_ptr<const RequestContext> context, int64_t held_bytes,
                             AnswerCallback done) {
  if (!gate_.Enter()) {
    std::move(done)(Rejected(Rejection::kDraining, draining_), {});
    return;
  }
  absl::Status status;
  std::unique_ptr<Submission> submission;
  try {
    submission = std::make_unique<Submission>(method, task, std::move(context));
    submission->done = std::move(done);
    status = TryAccept(*submission, held_bytes);
  } catch (const std::bad_alloc&) {
    status = out_of_memory_;
  }
  if (status.ok()) {
    (void)submission.release();  // the job has it, and may have finished with it
    return;
  }
  if (submission != nullptr) {
    done = std::move(submission->done);
    submission.reset();  // returns the bytes reserved
  }
  std::move(done)(std::move(status), {});
  done = nullptr;
  gate_.Leave();
}

void AttentionEngine::RunJob(std::unique_ptr<Submission> submission, kernels::Executor& executor) {
  if (absl::Status status = Begin(*submission); !status.ok()) {
    Conclude(std::move(submission), std::move(status));
    return;
  }
  if (SharingTaskOf(submission->task) != nullptr) {
    RunSharing(std::move(submission), executor);
    return;
  }
  absl::StatusOr<AttentionResult> result = Guarded([&] {
    return RunTask(submission->task, {.executor = &executor, .stop = submission->context.get()});
  });
  pushback_.Computed(SecondsSince(submission->started));
  Conclude(std::move(submission), std::move(result));
}

// `first`, which has begun, with those that wait and can share its layer's products, if it has any.
// Needs no memory for that.
void AttentionEngine::RunSharing(std::unique_ptr<Submission> first, kernels::Executor& executor) {
  std::array<std::unique_ptr<Submission>, kMostSharingTasks> group;
  size_t group_size = 0;
  const AttentionTask& first_task = *SharingTaskOf(first->task);
  group[group_size++] = std::move(first);
  if (HasSharedProducts(first_task)) {
    sharing_.TakeLike(first_task,
                      [&](Submission& submission) { group[group_size++].reset(&submission); });
  }
  if (group_size > 1) DropAbandoned();  // the others' places in the queue are free
  std::array<LayerTask, kMostSharingTasks> tasks;
  size_t task_count = 0;
  for (std::unique_ptr<Submission>& submission : std::span(group).first(group_size)) {
    if (absl::Status status = submission->computing ? absl::OkStatus() : Begin(*submission);
        !status.ok()) {
      Conclude(std::move(submission), std::move(status));
      continue;
    }
    LayerTask& task = tasks[task_count++];
    task.task = SharingTaskOf(submission->task);
    task.stop = submission->context.get();
  }
  metrics_.ProjectedTogether(static_cast<int64_t>(task_count));
  const TimePoint started = clock_.Now();
  RunLayerTasks(std::span(tasks).first(task_count), &executor);
  if (task_count > 0) pushback_.Computed(SecondsSince(started) / static_cast<double>(task_count));
  auto done = tasks.begin();
  for (std::unique_ptr<Submission>& submission : std::span(group).first(group_size)) {
    if (submission != nullptr) Conclude(std::move(submission), std::move((done++)->result));
  }
}

// The end of waiting; the status of a task that nobody waits for any more.
absl::Status AttentionEngine::Begin(Submission& submission) {
  submission.started = clock_.Now();
  submission.times.queue_ns = Nanoseconds(submission.started - submission.submitted);
  metrics_.QueueWaited(Seconds(submission.times.queue_ns));
  absl::Status status = submission.context->StopStatus();
  submission.computing = status.ok();
  return status;
}

// Hands the answer over.
void AttentionEngine::Conclude(std::unique_ptr<Submission> submission,
                               absl::StatusOr<AttentionResult> result) {
  StageTimes& times = submission->times;
  if (submission->computing) {
    times.compute_ns = Nanoseconds(clock_.Now() - submission->started);
    metrics_.ComputeTimeSpent(submission->method, Seconds(times.compute_ns));
  }
  absl::StatusOr<AttentionAnswer> answer = out_of_memory_;
  try {
    if (result.ok()) {
      answer = AnswerOf(*submission, *std::move(result));
    } else {
      answer = ForCaller(result.status(), *submission->context);
    }
  } catch (const std::bad_alloc&) {
    answer = out_of_memory_;
  }
  result = out_of_memory_;  // what is not handed over is gone before its bytes are returned
  submission->scratch_permit = {};
  if (answer.ok()) {
    answer->permit = std::move(submission->answer_permit);
  } else {
    submission->answer_permit = {};
  }
  std::move(submission->done)(std::move(answer), times);
  submission.reset();  // what `done` owns is gone before the task counts as finished
  gate_.Leave();
}

AttentionAnswer AttentionEngine::AnswerOf(Submission& submission, AttentionResult result) {
  VisitSequenceLengths(submission.task, [this](int64_t query_count, int64_t key_count) {
    metrics_.SequenceLengths(query_count, key_count);
  });
  metrics_.Computed({.flops = submission.flops,
                     .implementation = result.report.implementation,
                     .precision = result.report.precision});
  AttentionAnswer answer;
  answer.result = std::move(result);
  return answer;
}

// Keeps what is the caller's business; hides the rest behind the request id.
absl::Status AttentionEngine::ForCaller(const absl::Status& status, const RequestContext& context) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
      return status;
    case absl::StatusCode::kResourceExhausted:
      return out_of_memory_;
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
      if (absl::Status stop = context.StopStatus(); !stop.ok()) return Stopped(stop);
      break;
    default:
      break;
  }
  if (log_ != nullptr) log_->InternalError(context.request_id(), status.ToString());
  return absl::InternalError(absl::StrCat("internal error; request id ", context.request_id()));
}

}  // namespace attention::server
