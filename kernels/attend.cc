#include "kernels/attend.h"

#include "kernels/fused/fused_attention.h"
#include "kernels/implementation.h"
#include "kernels/rotary_operands.h"
#include "kernels/unfused/unfused_float64.h"
#include "kernels/visibility.h"
#include "kernels/within_memory.h"

namespace attention::kernels {
namespace {

// Never null for a valid problem without rotary embeddings: the last implementation offers all else
// and runs anywhere.
const Implementation* Choose(const AttentionProblem& problem, const AttentionOptions& options) {
  for (const Implementation* implementation : AllImplementations()) {
    if (IsUsable(*implementation) && implementation->Offers(problem, options)) {
      return implementation;
    }
  }
  return nullptr;
}

// A score's parameters, widened to float64 once for a call.
double ParameterBytes(const AttentionProblem& problem) {
  double bytes = 0;
  for (const TensorView* parameter :
       {&problem.score_first_weight, &problem.score_second_weight, &problem.score_vector}) {
    double parameter_bytes = sizeof(double);
    for (const int64_t extent : parameter->extents) {
      parameter_bytes *= static_cast<double>(extent);
    }
    bytes += parameter_bytes;
  }
  return bytes;
}

}  // namespace

absl::StatusOr<AttentionReport> Attend(const AttentionProblem& problem,
                                       const AttentionOptions& options,
                                       const AttentionOutputs& outputs,
                                       const Execution& execution) {
  if (absl::Status status = Validate(problem, options, outputs); !status.ok()) return status;
  const auto run = [&](const AttentionProblem& rotated) -> absl::StatusOr<AttentionReport> {
    const Implementation* implementation = Choose(rotated, options);
    if (implementation == nullptr) {
      return absl::UnimplementedError(
          "no usable implementation offers this combination of options");
    }
    return implementation->Run(rotated, options, outputs, execution);
  };
  absl::StatusOr<AttentionReport> report = WithinMemory("packed operands, scores and tables", [&] {
    return WithRotatedOperands(problem, execution, run);
  });
  if (report.ok() && StopRequested(execution)) return absl::CancelledError("stopped on request");
  return report;
}

double EstimateFlops(const AttentionProblem& problem) {
  const Extents& query = problem.query.extents;
  if (query[2] == 0) return 0;  // the batch may then be too large to walk through
  double pairs = 0;
  for (int64_t batch = 0; batch < query[0]; ++batch) pairs += CountVisiblePairs(problem, batch);
  const double widths =
      static_cast<double>(query[3]) + static_cast<double>(problem.value.extents[3]);
  return 2 * pairs * static_cast<double>(query[1]) * widths;
}

double EstimatePackedBytes(const AttentionProblem& problem, const AttentionOptions& options,
                           const AttentionOutputs& outputs, int thread_count) {
  return RotatedBytes(problem) + ParameterBytes(problem) +
         FusedBytes(problem, options, outputs, thread_count);
}

bool RunsInFloat64(const AttentionProblem& problem, const AttentionOptions& options) {
  AttentionProblem rotated = problem;
  rotated.rotary.reset();
  const Implementation* implementation = Choose(rotated, options);
  return implementation == &UnfusedFloat64();
}

}  // namespace attention::kernels
