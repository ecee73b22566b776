#include "kernels/fused/fused_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/fused/decode.h"
#include "kernels/fused/head_schedule.h"
#include "kernels/fused/query_tile.h"
#include "kernels/fused/tile_plan.h"
#include "kernels/instruction_set.h"
#include "kernels/products.h"

namespace attention::kernels {
namespace {

// Whether anything is asked for that is computed unfused, though it would fit a fused evaluation.
bool AsksForMore(const AttentionProblem& problem, const AttentionOptions& options,
                 const AttentionOutputs& outputs) {
  const bool hides_more = !problem.query_offsets.empty() || !problem.prefix_lengths.empty() ||
                          problem.left_window.has_value() || problem.right_window.has_value() ||
                          !problem.query_segments.empty() || problem.block_mask.mask.present();
  const bool changes_scores = options.softcap.has_value() || !problem.alibi.slopes.empty() ||
                              !problem.bucketed_bias.table.empty() || !problem.temperatures.empty();
  const bool changes_weights = !problem.sinks.empty() || !problem.head_factors.empty() ||
                               options.fully_masked != FullyMasked::kZeros;
  return hides_more || changes_scores || changes_weights ||
         options.scores == ScoresOutput::kCapped || outputs.AsksForStatistics();
}

class FusedImplementation final : public Implementation {
 public:
  FusedImplementation(std::string_view name, std::string_view description, InstructionLevel level)
      : name_(name), description_(description), level_(level) {}

  std::string_view name() const override { return name_; }
  std::string_view description() const override { return description_; }
  bool supported_by_runtime_system() const override {
    return EffectiveInstructionLevel() == level_;
  }

  bool Offers(const AttentionProblem& problem, const AttentionOptions& options,
              const AttentionOutputs& outputs) const override {
    return problem.query.type != DataType::kF64 && !options.float64 &&
           options.score == ScoreKind::kDotProduct &&
           options.normalization == Normalization::kSoftmaxOverKeys &&
           !AsksForMore(problem, options, outputs);
  }

  absl::StatusOr<AttentionReport> Run(const AttentionProblem& problem,
                                      const AttentionOptions& options,
                                      const AttentionOutputs& outputs,
                                      const Execution& execution) const override {
    AttentionReport report = {.implementation = name_, .precision = "f32", .thread_count = 1};
    const double default_scale = 1.0 / std::sqrt(static_cast<double>(problem.query.extents[3]));
    const auto scale = static_cast<float>(options.scale.value_or(default_scale));
    if (ElementCount(problem.query.extents) == 0) return report;
    if (IsDecode(problem, options, outputs)) {
      const absl::StatusOr<int> thread_count = ComputeDecode(problem, scale, outputs, execution);
      if (!thread_count.ok()) return thread_count.status();
      report.thread_count = *thread_count;
      return report;
    }
    const Products& products = ChooseProducts(problem.query.type, options.precision);
    const FusedCall call = {.problem = problem,
                            .options = options,
                            .outputs = outputs,
                            .execution = execution,
                            .scale = ScoreScale(problem, scale)};
    const absl::StatusOr<ScheduleOutcome> outcome =
        ComputeHeads(call, PlanTiles(problem, products));
    if (!outcome.ok()) return outcome.status();
    report.thread_count = outcome->thread_count;
    const int64_t row_count = ElementCount(problem.query.extents) / problem.query.extents[3];
    if (outcome->f32_row_count * 2 <= row_count) report.precision = products.name;
    return report;
  }

 private:
  const std::string_view name_;
  const std::string_view description_;
  const InstructionLevel level_;
};

}  // namespace

const Implementation& FusedAmx() {
  static const FusedImplementation instance("fused-amx",
                                            "online softmax; BF16 on AMX tiles, F32 on AVX-512",
                                            InstructionLevel::kAvx512Amx);
  return instance;
}

const Implementation& FusedAvx512() {
  static const FusedImplementation instance("fused-avx512", "online softmax on AVX-512",
                                            InstructionLevel::kAvx512);
  return instance;
}

const Implementation& FusedAvx2() {
  static const FusedImplementation instance("fused-avx2", "online softmax on AVX2",
                                            InstructionLevel::kAvx2);
  return instance;
}

}  // namespace attention::kernels
