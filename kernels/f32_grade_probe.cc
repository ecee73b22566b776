#include "kernels/f32_grade_probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

#include "kernels/aligned_array.h"
#include "kernels/amx/tile_product.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {
namespace {

constexpr int64_t kRows = 64;
constexpr int64_t kColumns = 240;  // not a power of two, whose rows would share cache sets
constexpr int64_t kWidth = 64;

// Splitting also packs more and has the costlier softmax.
constexpr double kOverheadOfSplitting = 1.15;

using Clock = std::chrono::steady_clock;

// Seconds of the fastest of a few runs.
template <class Work>
double FastestSeconds(const Work& work) {
  constexpr int kRuns = 3;
  double fastest = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const Clock::time_point start = Clock::now();
    work();
    fastest = std::min(fastest, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return fastest;
}

// Of products of scores; zeros take as long as other numbers.
struct Operands {
  Operands() : left(kRows * kWidth * 3), right(kColumns * kWidth * 3), scores(kRows * kColumns) {
    std::fill_n(left.data(), left.size(), 0.0f);
    std::fill_n(right.data(), right.size(), 0.0f);
  }
  AlignedArray<float> left;
  AlignedArray<float> right;
  AlignedArray<float> scores;
};

double SecondsInF32(const Operands& operands) {
  const auto kernel = FindMatrixKernel({.type = MatrixType::kF32,
                                        .accumulate = false,
                                        .row_count = kRows,
                                        .column_count = kColumns,
                                        .inner_count = kWidth,
                                        .a_stride = kWidth,
                                        .b_stride = kColumns,
                                        .c_stride = kColumns});
  if (!kernel.ok()) return std::numeric_limits<double>::infinity();
  return FastestSeconds([&] {
    // One that fails here says so where its product is used.
    (void)(*kernel)->Run(operands.left.data(), operands.right.data(), operands.scores.data());
  });
}

double SecondsInSixProducts(const Operands& operands) {
  const TileRegisterScope scope(true);
  return FastestSeconds([&] {
    Multiply({.product_count = 6,
              .rows = {.data = reinterpret_cast<const uint16_t*>(operands.left.data()),
                       .row_stride = kWidth,
                       .block_stride = kBlockInnerCount,
                       .part_stride = kRows * kWidth},
              .panel = {.data = reinterpret_cast<const uint16_t*>(operands.right.data()),
                        .row_stride = 2 * kColumns,
                        .block_stride = kBlockInnerCount * kColumns,
                        .part_stride = kColumns * kWidth},
              .row_count = kRows,
              .column_count = kColumns,
              .block_count = kWidth / kBlockInnerCount,
              .accumulate = false,
              .sums = operands.scores.data(),
              .sums_stride = kColumns});
  });
}

}  // namespace

bool SplittingIsFaster() {
  constexpr std::chrono::milliseconds kAnswerHolds(100);
  static std::atomic<Clock::duration::rep> answered_at = std::numeric_limits<int64_t>::min() / 2;
  static std::atomic<bool> answer = false;
  const Clock::duration now = Clock::now().time_since_epoch();
  Clock::duration::rep last = answered_at.load(std::memory_order_relaxed);
  if (now.count() - last < Clock::duration(kAnswerHolds).count() ||
      !answered_at.compare_exchange_strong(last, now.count(), std::memory_order_relaxed)) {
    return answer.load(std::memory_order_relaxed);  // fresh, or another thread measures
  }
  const Operands operands;
  const bool splitting =
      SecondsInSixProducts(operands) * kOverheadOfSplitting < SecondsInF32(operands);
  answer.store(splitting, std::memory_order_relaxed);
  return splitting;
}

}  // namespace attention::kernels
