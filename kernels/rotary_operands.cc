#include "kernels/rotary_operands.h"

#include <algorithm>
#include <cstddef>

#include "absl/cleanup/cleanup.h"
#include "kernels/aligned_array.h"
#include "kernels/kept.h"
#include "kernels/rotary_angles.h"
#include "kernels/rotary_embedding.h"

namespace attention::kernels {
namespace {

// A thread keeps at most this much of each operand for its next call.
constexpr size_t kKeptBytes = size_t{32} << 20;

struct Copies {
  AlignedArray<std::byte> query;
  AlignedArray<std::byte> key;

  void ReleaseAbove(size_t byte_count) {
    query.ReleaseAbove(byte_count);
    key.ReleaseAbove(byte_count);
  }
};

// Makes `view` a turned copy of what it was. Throws std::bad_alloc.
absl::StatusOr<int> Rotate(const RotaryEmbedding& rotary, const RowPositions& positions,
                           const Execution& execution, AlignedArray<std::byte>& memory,
                           TensorView& view) {
  if (ElementCount(view.extents) == 0) return 1;
  memory.Reserve(static_cast<size_t>(ElementCount(view.extents)) * ElementBytes(view.type));
  const MutableTensorView copy = DenseView(memory.data(), view.type, view.extents);
  absl::StatusOr<int> threads = ApplyRotaryEmbedding(rotary, positions, view, copy, execution);
  view = copy;
  return threads;
}

}  // namespace

absl::StatusOr<AttentionReport> WithRotatedOperands(
    const AttentionProblem& problem, const Execution& execution,
    absl::FunctionRef<absl::StatusOr<AttentionReport>(const AttentionProblem&)> attend) {
  if (!problem.rotary.has_value()) return attend(problem);
  const Kept<Copies> copies;
  AttentionProblem rotated = problem;
  rotated.rotary.reset();
  const absl::Cleanup release = [&] { copies->ReleaseAbove(kKeptBytes); };
  const RowPositions query_positions = {problem.query_offset, problem.query_offsets};
  const absl::StatusOr<int> queries =
      Rotate(*problem.rotary, query_positions, execution, copies->query, rotated.query);
  if (!queries.ok()) return queries.status();
  const absl::StatusOr<int> keys = Rotate(*problem.rotary, {}, execution, copies->key, rotated.key);
  if (!keys.ok()) return keys.status();
  absl::StatusOr<AttentionReport> report = attend(rotated);
  if (report.ok()) report->thread_count = std::max({report->thread_count, *queries, *keys});
  return report;
}

double RotatedBytes(const AttentionProblem& problem) {
  if (!problem.rotary.has_value()) return 0;
  double elements = 0;
  for (const Extents* extents : {&problem.query.extents, &problem.key.extents}) {
    double count = 1;
    for (const int64_t extent : *extents) count *= static_cast<double>(extent);
    elements += count;
  }
  const RotaryEmbedding& rotary = *problem.rotary;
  const int64_t width = rotary.width == 0 ? problem.query.extents[3] : rotary.width;
  return elements * static_cast<double>(ElementBytes(problem.query.type)) +
         RotaryAngles::RoomBytes(width);
}

}  // namespace attention::kernels
