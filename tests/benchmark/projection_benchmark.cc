#include "tests/benchmark/projection_benchmark.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "benchmark/benchmark.h"
#include "kernels/implementation.h"
#include "kernels/projection.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/machine_peaks.h"
#include "tests/benchmark/peak_counters.h"
#include "tests/benchmark/projection_operands.h"
#include "tests/benchmark/projection_verification.h"
#include "tests/benchmark/row_timing.h"
#include "tests/support/thread_executor.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;
using kernels::Precision;
using kernels::ProjectionReport;

struct ProjectionCase {
  ProjectionShape shape;
  DataType type;
  Precision precision;
  int thread_count;
};

class ProjectionBenchmark {
 public:
  explicit ProjectionBenchmark(ProjectionCase projection_case)
      : case_(std::move(projection_case)) {}

  void Run(::benchmark::State& state) {
    std::optional<test::ThreadExecutor> executor;
    kernels::Execution execution;
    if (case_.thread_count > 1) execution.executor = &executor.emplace(case_.thread_count);
    if (!report_.has_value()) {
      if (absl::Status status = RunFirst(execution); !status.ok()) {
        Fail(state, status.ToString());
        return;
      }
    }
    if (SkipOtherPrecision(state, case_.type, case_.precision, report_->precision)) return;

    const ComputePeaks peaks_before = MeasureComputePeaks(case_.thread_count);
    const double seconds =
        MedianIterationSeconds(state, [&] { return Compute(execution).status(); });
    const ComputePeaks peaks = peaks_before.CombinedWith(MeasureComputePeaks(case_.thread_count));
    CountFlops(state, seconds, ProjectionFlops(case_.shape), report_->precision, peaks);
    SetLabel(state, kernels::InstructionSet(), report_->precision, peaks);
  }

 private:
  // Packs, warms up and verifies, once in a process.
  absl::Status RunFirst(const kernels::Execution& execution) {
    operands_ = std::make_unique<ProjectionOperands>(case_.shape, case_.type);
    const kernels::ProjectionMaps maps = operands_->Maps(case_.precision);
    if (case_.shape.packed) {
      auto packed = kernels::PackedProjection::Pack(maps, execution);
      if (!packed.ok()) return packed.status();
      packed_ = *std::move(packed);
    }
    const absl::StatusOr<ProjectionReport> report = Compute(execution);
    if (!report.ok()) return report.status();
    absl::Status status = VerifyProjection(maps, operands_->Rows(), report->precision);
    if (status.ok()) report_ = *report;
    return status;
  }

  absl::StatusOr<ProjectionReport> Compute(const kernels::Execution& execution) const {
    if (packed_ != nullptr) return packed_->Apply(operands_->Rows(), execution);
    return kernels::Project(operands_->Maps(case_.precision), operands_->Rows(), execution);
  }

  const ProjectionCase case_;
  std::unique_ptr<ProjectionOperands> operands_;
  std::unique_ptr<const kernels::PackedProjection> packed_;  // null: the weights serve once
  std::optional<ProjectionReport> report_;                   // of the first, verified call
};

void Register(const ProjectionCase& projection_case) {
  if (projection_case.thread_count > 1 &&
      ProjectionFlops(projection_case.shape) < kTwoThreadFlops) {
    return;
  }
  const auto benchmark = std::make_shared<ProjectionBenchmark>(projection_case);
  const std::string name =
      "projection/" + projection_case.shape.name + "/" +
      RowSuffix(projection_case.type, projection_case.precision, projection_case.thread_count);
  ::benchmark::RegisterBenchmark(name,
                                 [benchmark](::benchmark::State& state) { benchmark->Run(state); })
      ->UseRealTime()
      ->Unit(::benchmark::kMillisecond);
}

}  // namespace

void RegisterProjectionBenchmarks() {
  for (const ProjectionShape& shape : AllProjectionShapes()) {
    for (const int thread_count : {1, 2}) {
      for (const Precision precision : kTimedPrecisions) {
        Register({shape, DataType::kF32, precision, thread_count});
      }
      Register({shape, DataType::kBF16, Precision::kF32, thread_count});
    }
  }
}

}  // namespace attention::benchmark
