#include "tests/benchmark/attention_benchmark.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "benchmark/benchmark.h"
#include "kernels/implementation.h"
#include "tests/benchmark/attention_case.h"
#include "tests/benchmark/attention_operands.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/machine_peaks.h"
#include "tests/benchmark/peak_counters.h"
#include "tests/benchmark/row_timing.h"
#include "tests/benchmark/verification.h"
#include "tests/support/thread_executor.h"

namespace attention::benchmark {
namespace {

using kernels::AttentionReport;
using kernels::DataType;
using kernels::Precision;

// What is computed in float64, element by element, takes too long beyond this.
constexpr double kFloat64Flops = 3e8;

// The keys and values that decoding reads.
double KeyValueBytes(const AttentionShape& shape, DataType type) {
  return 2.0 *
         static_cast<double>(shape.batch * shape.key_value_head_count * shape.key_count *
                             shape.width) *
         static_cast<double>(kernels::ElementBytes(type));
}

class AttentionBenchmark {
 public:
  explicit AttentionBenchmark(const AttentionCase& attention_case) : case_(attention_case) {
    options_ = Options(*case_.shape);
    options_.precision = case_.precision;
  }

  void Run(::benchmark::State& state) {
    AttentionOperands& operands = AttentionOperands::Of(*case_.shape, case_.type);
    std::optional<test::ThreadExecutor> executor;
    kernels::Execution execution;
    if (case_.thread_count > 1) execution.executor = &executor.emplace(case_.thread_count);
    if (!report_.has_value() && !RunFirst(state, operands, execution)) return;
    if (SkipOtherPrecision(state, case_.type, case_.precision, report_->precision)) return;
    Time(state, operands, execution);
  }

 private:
  // Warms up and verifies, once in a process. False if the row is an error.
  bool RunFirst(::benchmark::State& state, AttentionOperands& operands,
                const kernels::Execution& execution) {
    const kernels::AttentionProblem problem = operands.Problem();
    const kernels::AttentionOutputs outputs = operands.UnwrittenOutputs();
    const absl::StatusOr<AttentionReport> report = Attend(problem, options_, outputs, execution);
    absl::Status status = report.status();
    if (status.ok()) status = VerifyAttention(problem, options_, outputs, report->precision);
    if (!status.ok()) {
      Fail(state, status.ToString());
      return false;
    }
    report_ = *report;
    return true;
  }

  void Time(::benchmark::State& state, AttentionOperands& operands,
            const kernels::Execution& execution) {
    const bool reads = case_.shape->kind == "decode";
    const auto read_bandwidth = [&] {
      return reads ? MeasureReadBandwidth(case_.thread_count, operands.key_value_buffers()) : 0;
    };
    const ComputePeaks peaks_before = MeasureComputePeaks(case_.thread_count);
    const double bandwidth_before = read_bandwidth();
    const kernels::AttentionOutputs outputs = operands.Outputs();
    int buffer = 0;
    const double seconds = MedianIterationSeconds(state, [&] {
      const kernels::AttentionProblem problem = operands.Problem(buffer);
      if (++buffer == case_.shape->buffer_count) buffer = 0;
      return Attend(problem, options_, outputs, execution).status();
    });
    const double bandwidth = std::max(bandwidth_before, read_bandwidth());
    const ComputePeaks peaks = peaks_before.CombinedWith(MeasureComputePeaks(case_.thread_count));

    CountFlops(state, seconds, operands.Flops(), report_->precision, peaks);
    if (reads) CountBytes(state, seconds, KeyValueBytes(*case_.shape, case_.type), bandwidth);
    SetLabel(state, report_->implementation, report_->precision, peaks);
  }

  const AttentionCase case_;
  kernels::AttentionOptions options_;
  std::optional<AttentionReport> report_;  // of the first, verified call
};

// What the case asks for, as far as extents and options go.
kernels::AttentionProblem ProblemWithoutData(const AttentionCase& attention_case) {
  static const char kSomewhere = 0;
  const AttentionShape& shape = *attention_case.shape;
  const kernels::Extents key = {shape.batch, shape.key_value_head_count, shape.key_count,
                                shape.width};
  kernels::AttentionProblem problem;
  problem.query =
      kernels::DenseView(&kSomewhere, attention_case.type,
                         {shape.batch, shape.query_head_count, shape.query_count, shape.width});
  problem.key = problem.value = kernels::DenseView(&kSomewhere, attention_case.type, key);
  if (shape.causal) problem.causal = true;
  return problem;
}

bool IsWorthTiming(const AttentionCase& attention_case) {
  const kernels::AttentionProblem problem = ProblemWithoutData(attention_case);
  const double flops = kernels::EstimateFlops(problem);
  kernels::AttentionOptions options;
  options.precision = attention_case.precision;
  if (kernels::RunsInFloat64(problem, options) && flops > kFloat64Flops) return false;
  return attention_case.thread_count == 1 || flops >= kTwoThreadFlops ||
         KeyValueBytes(*attention_case.shape, attention_case.type) >= kTwoThreadBytes;
}

void Register(const AttentionCase& attention_case) {
  if (!IsWorthTiming(attention_case)) return;
  const auto benchmark = std::make_shared<AttentionBenchmark>(attention_case);
  ::benchmark::RegisterBenchmark(Name(attention_case),
                                 [benchmark](::benchmark::State& state) { benchmark->Run(state); })
      ->UseRealTime()
      ->Unit(::benchmark::kMillisecond);
}

}  // namespace

void RegisterAttentionBenchmarks() {
  for (const AttentionShape& shape : AllAttentionShapes()) {
    for (const int thread_count : {1, 2}) {
      for (const Precision precision : kTimedPrecisions) {
        // An option costs the same in every split.
        const bool split = precision != Precision::kF32;
        if (split && shape.option != TimedOption::kNone) continue;
        Register({&shape, DataType::kF32, precision, thread_count});
      }
      Register({&shape, DataType::kBF16, Precision::kF32, thread_count});
    }
  }
}

}  // namespace attention::benchmark
