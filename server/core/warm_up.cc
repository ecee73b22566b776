#include "server/core/warm_up.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <latch>
#include <memory>
#include <new>
#include <utility>

#include "kernels/convert.h"
#include "kernels/first_error.h"
#include "server/core/attention_task.h"
#include "server/core/buffer.h"
#include "server/core/task_runner.h"

namespace attention::server {
namespace {

using kernels::DataType;

enum class Kind : uint8_t { kPlain, kCausal, kOneQuery, kProjected };

constexpr std::array kKinds = {Kind::kPlain, Kind::kCausal, Kind::kOneQuery, Kind::kProjected};

constexpr std::array kTypes = {DataType::kF32, DataType::kBF16};

// From one weight to the next; they overlap.
constexpr int64_t kWeightOffsetBytes = 64;

// Rows of a projection are computed by the same code however many there are.
constexpr int64_t kMostProjectedTokens = 64;

// Stops the kernels when time is up.
class TimeLimit final : public kernels::StopSignal {
 public:
  TimeLimit(std::chrono::milliseconds limit, const Clock& clock)
      : end_(clock.Now() + limit), clock_(clock) {}

  [[nodiscard]] bool StopRequested() const override { return clock_.Now() >= end_; }

 private:
  const TimePoint end_;
  const Clock& clock_;
};

int64_t EmbeddingWidth(const WarmUpShape& shape) { return shape.head_count * shape.width; }

// Small numbers, exact in every type, that repeat after a while.
Buffer MakeNumbers(DataType type, int64_t element_count) {
  constexpr int64_t kPeriod = 1024;
  std::array<double, kPeriod> period;
  for (int64_t i = 0; i < kPeriod; ++i) {
    period[static_cast<size_t>(i)] = static_cast<double>(i * 37 % 64 - 32) / 128;
  }
  const auto element_bytes = static_cast<int64_t>(kernels::ElementBytes(type));
  std::array<std::byte, kPeriod * sizeof(double)> encoded;
  kernels::StoreElements(type, period.data(), kPeriod, encoded.data());
  Buffer numbers(static_cast<size_t>(element_count * element_bytes));
  auto* const first = static_cast<std::byte*>(numbers.data());
  for (int64_t i = 0; i < element_count; i += kPeriod) {
    std::memcpy(first + i * element_bytes, encoded.data(),
                static_cast<size_t>(std::min(kPeriod, element_count - i) * element_bytes));
  }
  return numbers;
}

HeadsSource Ready(const kernels::Extents& extents, DataType type, const void* numbers) {
  HeadsSource source;
  source.view = kernels::DenseView(numbers, type, extents);
  return source;
}

// `embeddings` and `weight` are numbers; a bias is, too.
HeadsSource Projected(const kernels::Extents& extents, int64_t input_width, DataType type,
                      const void* embeddings, const void* weight) {
  HeadsSource source;
  source.view.type = type;
  source.view.extents = extents;
  source.embeddings = embeddings;
  source.projection = {input_width, extents[1] * extents[3], weight, embeddings};
  return source;
}

// Reads `numbers` for everything.
AttentionTask MakeTask(const WarmUpShape& shape, Kind kind, DataType type, const void* numbers) {
  const auto [head_count, key_value_head_count, token_count, width] = shape;
  AttentionTask task;
  task.type = type;
  if (kind == Kind::kProjected) {
    const int64_t rows = std::min(token_count, kMostProjectedTokens);
    const int64_t embedding_width = EmbeddingWidth(shape);
    // Weights of their own, or keys and values would be taken for the queries.
    const auto weight = [numbers](int index) {
      return static_cast<const std::byte*>(numbers) + index * kWeightOffsetBytes;
    };
    const kernels::Extents key_extents = {1, key_value_head_count, rows, width};
    task.query = Projected({1, head_count, rows, width}, embedding_width, type, numbers, weight(0));
    task.key = Projected(key_extents, embedding_width, type, numbers, weight(1));
    task.value = Projected(key_extents, embedding_width, type, numbers, weight(2));
    task.output_projection = {embedding_width, embedding_width, numbers, numbers};
    return task;
  }
  const int64_t query_count = kind == Kind::kOneQuery ? 1 : token_count;
  task.query = Ready({1, head_count, query_count, width}, type, numbers);
  task.key = Ready({1, key_value_head_count, token_count, width}, type, numbers);
  task.value = task.key;
  task.output_layout = OutputLayout::kHeadsFirst;
  if (kind == Kind::kCausal) task.problem.causal = true;
  return task;
}

struct Plan {
  std::vector<Buffer> numbers;  // what the tasks read
  std::vector<AttentionTask> tasks;
};

std::vector<kernels::Precision> PrecisionsOf(DataType type, kernels::Precision default_precision) {
  std::vector<kernels::Precision> precisions = {kernels::Precision::kF32};
  if (type == DataType::kF32 && default_precision != precisions.front()) {
    precisions.push_back(default_precision);
  }
  return precisions;
}

// Throws std::bad_alloc.
Plan MakePlan(const std::vector<WarmUpShape>& shapes, kernels::Precision default_precision) {
  int64_t most_elements = 0;
  for (const WarmUpShape& shape : shapes) {
    most_elements = std::max(most_elements, LargestArrayElements(shape));
  }
  most_elements += 2 * kWeightOffsetBytes;  // more than enough for the last weight
  Plan plan;
  const auto add = [&plan](AttentionTask task, kernels::Precision precision) {
    task.options.precision = precision;
    if (!kernels::RunsInFloat64(ProblemOf(task), task.options)) {
      plan.tasks.push_back(std::move(task));
    }
  };
  for (const DataType type : kTypes) {
    const void* const numbers = plan.numbers.emplace_back(MakeNumbers(type, most_elements)).data();
    for (const kernels::Precision precision : PrecisionsOf(type, default_precision)) {
      for (const WarmUpShape& shape : shapes) {
        for (const Kind kind : kKinds) add(MakeTask(shape, kind, type, numbers), precision);
      }
    }
  }
  return plan;
}

absl::Status Compute(const AttentionTask& task, const kernels::StopSignal& stop) {
  try {
    return RunTask(task, {.executor = nullptr, .stop = &stop}).status();
  } catch (const std::exception& exception) {
    return absl::InternalError(exception.what());
  }
}

}  // namespace

int64_t LargestArrayElements(const WarmUpShape& shape) {
  return EmbeddingWidth(shape) * std::max(shape.token_count, EmbeddingWidth(shape));
}

const std::vector<WarmUpShape>& CommonWarmUpShapes() {
  static const auto& shapes = *new std::vector<WarmUpShape>{
      {12, 12, 128, 64}, {8, 8, 512, 64}, {8, 8, 1024, 64}, {8, 8, 512, 128}, {8, 2, 1024, 128}};
  return shapes;
}

WarmUpReport WarmUp(ComputePool& pool, const WarmUpOptions& options,
                    kernels::Precision default_precision, const Clock& clock) {
  const TimePoint start = clock.Now();
  const TimeLimit limit(options.limit, clock);
  WarmUpReport report;
  Plan plan;
  try {
    plan = MakePlan(options.shapes, default_precision);
  } catch (const std::bad_alloc&) {
    report.status = absl::ResourceExhaustedError("no memory for the numbers to warm up with");
    return report;
  }
  if (plan.tasks.empty()) return report;

  const auto task_count = static_cast<int64_t>(plan.tasks.size());
  const int64_t thread_count = pool.thread_count();
  std::atomic<int64_t> computed_task_count = 0;
  kernels::FirstError fault;
  fault.Update(RunOnEveryThread(pool, [&](int thread) {
    // Each begins elsewhere, so that threads generate different code at a time.
    const int64_t first = thread * task_count / thread_count;
    for (int64_t i = 0; i < task_count && !limit.StopRequested(); ++i) {
      const absl::Status status =
          Compute(plan.tasks[static_cast<size_t>((first + i) % task_count)], limit);
      if (status.ok()) computed_task_count.fetch_add(1, std::memory_order_relaxed);
      if (!absl::IsCancelled(status)) fault.Update(status);
    }
  }));
  report.planned_task_count = task_count * thread_count;
  report.computed_task_count = computed_task_count.load();
  report.elapsed = clock.Now() - start;
  report.status = fault.Get();
  return report;
}

absl::Status RunOnEveryThread(ComputePool& pool, absl::FunctionRef<void(int)> work) {
  struct Latches {
    explicit Latches(int thread_count) : started(thread_count), finished(thread_count) {}
    std::latch started;
    std::latch finished;
  };
  const int thread_count = pool.thread_count();
  const auto latches = std::make_shared<Latches>(thread_count);  // the last job outlives the wait
  for (int index = 0; index < thread_count; ++index) {
    const absl::Status status = pool.TrySubmit([latches, &work, index](kernels::Executor&) {
      latches->started.arrive_and_wait();  // a thread that waits takes no second job
      work(index);
      latches->finished.count_down();
    });
    if (!status.ok()) {
      latches->started.count_down(thread_count - index);
      latches->finished.count_down(thread_count - index);
      latches->finished.wait();
      return status;
    }
  }
  latches->finished.wait();
  return absl::OkStatus();
}

}  // namespace attention::server
