#include "kernels/attend.h"

#include <algorithm>

#include "kernels/fused/decode.h"
#include "kernels/fused/head_schedule.h"
#include "kernels/fused/relative_bias_table.h"
#include "kernels/implementation.h"
#include "kernels/rotary_operands.h"
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

// What is made once for a call: biases of all distances, keys of segments, sums of weights.
double TableBytes(const AttentionProblem& problem, const AttentionOutputs& outputs) {
  const auto rows = static_cast<double>(problem.query.extents[0]);
  const auto heads = static_cast<double>(problem.query.extents[1]);
  const auto queries = static_cast<double>(problem.query.extents[2]);
  const auto keys = static_cast<double>(problem.key.extents[2]);
  double bytes = RelativeBiasTable::MaxBytes(problem);
  if (!problem.query_segments.empty()) {
    bytes += rows * queries * sizeof(KeyRange) + keys * 3 * sizeof(int64_t);
  }
  if (outputs.key_mass.present()) bytes += rows * heads * keys * sizeof(int64_t);
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
  const double other_bytes =
      RotatedBytes(problem) + TableBytes(problem, outputs) + ParameterBytes(problem);
  if (problem.query.type == DataType::kF64) return other_bytes;  // the rest is read in place
  if (IsDecode(problem, options, outputs)) return other_bytes + DecodeBytes(problem, outputs);
  // Of a number: three parts of two bytes, or f32 where the processor has no BF16 products.
  const bool splits = problem.query.type == DataType::kF32 && options.precision != Precision::kF32;
  const double number_bytes = splits ? 6 : 4;
  // The last block of keys is padded, rows of packed keys are spread a little, and widths are
  // rounded up, of split keys to tile registers.
  constexpr double kMostPaddingOfFewKeys = 63;
  constexpr double kMostPaddingOfManyKeys = 511;
  constexpr double kSpread = 1.125;
  const auto keys = static_cast<double>(problem.key.extents[2]);
  const double padded_keys = keys + std::clamp(keys, kMostPaddingOfFewKeys, kMostPaddingOfManyKeys);
  const double widths =
      kSpread * (static_cast<double>(problem.key.extents[3]) + (splits ? 31 : 1)) +
      static_cast<double>(problem.value.extents[3]) + 15;
  return other_bytes + MostPackedHeads(problem, thread_count) * padded_keys * widths * number_bytes;
}

bool RunsInFloat64(const AttentionProblem& problem, const AttentionOptions& options) {
  AttentionProblem rotated = problem;
  rotated.rotary.reset();
  const Implementation* implementation = Choose(rotated, options);
  return implementation != nullptr && implementation->name() == "unfused-float64";
}

}  // namespace attention::kernels
