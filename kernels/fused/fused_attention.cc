#include "kernels/fused/fused_attention.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "kernels/fused/decode.h"
#include "kernels/fused/head_schedule.h"
#include "kernels/fused/query_tile.h"
#include "kernels/fused/tile_plan.h"
#include "kernels/instruction_set.h"
#include "kernels/kept.h"
#include "kernels/products.h"

namespace attention::kernels {
namespace {

class FusedImplementation final : public Implementation {
 public:
  FusedImplementation(std::string_view name, std::string_view description, InstructionLevel level)
      : name_(name), description_(description), level_(level) {}

  std::string_view name() const override { return name_; }
  std::string_view description() const override { return description_; }
  bool supported_by_runtime_system() const override {
    return EffectiveInstructionLevel() == level_;
  }
  absl::Status CapInstructionSets() const override { return CapInstructionLevel(level_); }

  bool Offers(const AttentionProblem& problem, const AttentionOptions& options) const override {
    return !problem.rotary.has_value() && problem.query.type != DataType::kF64 &&
           !options.float64 && options.score == ScoreKind::kDotProduct &&
           options.normalization == Normalization::kSoftmaxOverKeys &&
           ScoreForm(problem, options).FitsF32();
  }

  absl::StatusOr<AttentionReport> Run(const AttentionProblem& problem,
                                      const AttentionOptions& options,
                                      const AttentionOutputs& outputs,
                                      const Execution& execution) const override {
    const Kept<Workspace> kept;
    Workspace& workspace = *kept;
    const absl::Cleanup release = [&] { workspace.ReleaseAbove(kKeptPackedBytes); };
    workspace.key_mass.Begin(problem, outputs);
    if (ElementCount(problem.query.extents) == 0) {
      workspace.key_mass.Write(outputs);  // no query gave anything
      return AttentionReport{.implementation = name_, .precision = "f32", .thread_count = 1};
    }
    workspace.visibility.Begin(problem, options, outputs);
    workspace.relative_bias.Begin(problem);
    const FusedCall call = {.problem = problem,
                            .options = options,
                            .outputs = outputs,
                            .execution = execution,
                            .form = ScoreForm(problem, options),
                            .visibility = workspace.visibility,
                            .relative_bias = workspace.relative_bias,
                            .key_mass = workspace.key_mass};
    absl::StatusOr<AttentionReport> report = Run(call);
    if (report.ok() && !StopRequested(execution)) workspace.key_mass.Write(outputs);
    return report;
  }

 private:
  // Of the calling thread, kept for its next call.
  struct Workspace {
    RowVisibility visibility;
    RelativeBiasTable relative_bias;
    KeyMass key_mass;

    void ReleaseAbove(size_t byte_count) {
      if (visibility.room_bytes() + relative_bias.room_bytes() + key_mass.room_bytes() >
          byte_count) {
        *this = Workspace();
      }
    }
  };

  // Key mass is rounded once per tile, so its tiles must not depend on the batch or the thread
  // count: plan as if one entry ran on 16 threads.
  static TilePlan PlanFor(const FusedCall& call, const Products& products) {
    constexpr int kThreadsOfKeyMass = 16;
    if (!call.key_mass.wanted()) {
      return PlanTiles(call.problem, products, ThreadCount(call.execution));
    }
    AttentionProblem alone = call.problem;
    alone.query.extents[0] = 1;
    return PlanTiles(alone, products, kThreadsOfKeyMass);
  }

  absl::StatusOr<AttentionReport> Run(const FusedCall& call) const {
    const AttentionProblem& problem = call.problem;
    AttentionReport report = {.implementation = name_, .precision = "f32", .thread_count = 1};
    if (IsDecode(problem, call.options, call.outputs)) {
      report.thread_count = ComputeDecode(call);
      return report;
    }
    const Products& products = ChooseProducts(problem.query.type, call.options.precision);
    const absl::StatusOr<ScheduleOutcome> outcome = ComputeHeads(call, PlanFor(call, products));
    if (!outcome.ok()) return outcome.status();
    report.thread_count = outcome->thread_count;
    const int64_t row_count = ElementCount(problem.query.extents) / problem.query.extents[3];
    if (outcome->f32_row_count * 2 <= row_count) report.precision = products.name;
    return report;
  }

  const std::string_view name_;
  const std::string_view description_;
  const InstructionLevel level_;
};

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

double FusedBytes(const AttentionProblem& problem, const AttentionOptions& options,
                  const AttentionOutputs& outputs, int thread_count) {
  const double table_bytes = TableBytes(problem, outputs);
  if (problem.query.type == DataType::kF64) return table_bytes;  // the rest is read in place
  if (IsDecode(problem, options, outputs)) return table_bytes + DecodeBytes(problem, outputs);
  return table_bytes +
         MostPackedHeads(problem, thread_count) * MostPackedHeadBytes(problem, options.precision);
}

const Implementation& FusedAmx() {
  static const FusedImplementation instance("fused-amx",
                                            "online softmax; BF16 on AMX tiles, F32 on AVX-512",
                                            InstructionLevel::kAvx512Amx);
  return instance;
}

const Implementation& FusedAvx512Bf16() {
  static const FusedImplementation instance(
      "fused-avx512-bf16", "online softmax on AVX-512; BF16 by dot products of pairs",
      InstructionLevel::kAvx512Bf16);
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
