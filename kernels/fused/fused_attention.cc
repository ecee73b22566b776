#include "kernels/fused/fused_attention.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "kernels/first_error.h"
#include "kernels/fused/decode.h"
#include "kernels/fused/packed_operands.h"
#include "kernels/fused/query_tile.h"
#include "kernels/fused/tile_plan.h"
#include "kernels/instruction_set.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

// Keys of a batch entry that some query reads: all of them for raw scores, else the visible ones.
int64_t ReadKeyCount(const AttentionProblem& problem, const AttentionOptions& options,
                     int64_t batch) {
  if (options.scores == ScoresOutput::kRaw) return problem.key.extents[2];
  return VisibleKeyCount(problem, batch, problem.query.extents[2] - 1);
}

// Packs every key block that will be read. Returns the number of threads that took part.
int PackOperands(const FusedCall& call, PackedOperands& packed, FirstError& error) {
  return RunItems(call.execution, packed.block_count(), [&](int64_t index) {
    const BlockIndex block = packed.BlockAt(index);
    const int64_t first_key = block.block * call.plan.key_columns;
    const int64_t count = std::min(
        ReadKeyCount(call.problem, call.options, block.batch) - first_key, call.plan.key_columns);
    if (count <= 0) return;
    try {
      packed.Pack(block, count);
    } catch (const std::bad_alloc&) {
      error.Update(absl::ResourceExhaustedError("no memory for packing keys and values"));
    }
  });
}

int ComputeTiles(const FusedCall& call, FirstError& error) {
  const int64_t head_count = call.problem.query.extents[1];
  const int64_t tile_count = call.plan.query_tile_count;
  const int64_t item_count = call.problem.query.extents[0] * head_count * tile_count;
  return RunItems(call.execution, item_count, [&](int64_t item) {
    // Last tiles first: with a causal mask they are the largest.
    const int64_t tile = tile_count - 1 - item % tile_count;
    const int64_t head = item / tile_count % head_count;
    const int64_t batch = item / tile_count / head_count;
    const MatrixKernelScope scope;
    try {
      error.Update(ComputeQueryTile(call, batch, head, tile * call.plan.query_rows));
    } catch (const std::bad_alloc&) {
      error.Update(absl::ResourceExhaustedError("no memory for a tile of scores"));
    }
  });
}

absl::StatusOr<int> ComputeFused(const FusedCall& call, PackedOperands& packed) {
  FirstError error;
  const int packing_threads = PackOperands(call, packed, error);
  if (absl::Status status = error.Get(); !status.ok()) return status;
  const int computing_threads = ComputeTiles(call, error);
  if (absl::Status status = error.Get(); !status.ok()) return status;
  return std::max(packing_threads, computing_threads);
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

  bool Offers(const AttentionProblem& problem, const AttentionOptions& options) const override {
    return problem.query.type != DataType::kF64 && options.score == ScoreKind::kDotProduct &&
           options.normalization == Normalization::kSoftmaxOverKeys;
  }

  absl::StatusOr<AttentionReport> Run(const AttentionProblem& problem,
                                      const AttentionOptions& options,
                                      const AttentionOutputs& outputs,
                                      const Execution& execution) const override {
    AttentionReport report = {.implementation = name_, .precision = "f32", .thread_count = 1};
    const double default_scale = 1.0 / std::sqrt(static_cast<double>(problem.query.extents[3]));
    const auto scale = static_cast<float>(options.scale.value_or(default_scale));
    if (ElementCount(problem.query.extents) == 0) return report;
    absl::StatusOr<int> thread_count;
    if (IsDecode(problem, options, outputs)) {
      thread_count = ComputeDecode(problem, scale, outputs, execution);
    } else {
      const TilePlan plan = PlanTiles(problem, level_ == InstructionLevel::kAvx512Amx);
      if (plan.type == MatrixType::kBF16) report.precision = "bf16";
      PackedOperands packed(problem, plan);
      const FusedCall call = {.problem = problem,
                              .options = options,
                              .outputs = outputs,
                              .execution = execution,
                              .plan = plan,
                              .packed = packed,
                              .scale = scale};
      thread_count = ComputeFused(call, packed);
    }
    if (!thread_count.ok()) return thread_count.status();
    report.thread_count = *thread_count;
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
