#include "kernels/fused/f32_grade_probe.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>

#include "kernels/aligned_array.h"
#include "kernels/fused/products.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kRows = 64;
constexpr int64_t kColumns = 256;
constexpr int64_t kWidth = 64;

// Splitting also packs more and has the costlier softmax.
constexpr double kOverheadOfSplitting = 1.15;

// Seconds of the fastest of a few products of scores; infinity if the kernel cannot be made.
double FastestSeconds(const Products& products) {
  constexpr int kRuns = 3;
  const bool bf16 = products.type == MatrixType::kBF16;
  const int64_t element_bytes = bf16 ? 2 : 4;
  const auto kernel = FindMatrixKernel({.type = products.type,
                                        .accumulate = false,
                                        .batch_count = static_cast<int64_t>(products.pairs.size()),
                                        .row_count = kRows,
                                        .column_count = kColumns,
                                        .inner_count = kWidth,
                                        .a_stride = kWidth,
                                        .b_stride = kColumns,
                                        .c_stride = kColumns + 16});
  if (!kernel.ok()) return std::numeric_limits<double>::infinity();
  constexpr size_t kMaxNumberBytes = 6;  // three parts of two bytes
  const AlignedArray<std::byte> left(kRows * kWidth * kMaxNumberBytes);
  const AlignedArray<std::byte> right(kColumns * kWidth * kMaxNumberBytes);
  std::fill_n(left.data(), left.size(), std::byte{0});
  std::fill_n(right.data(), right.size(), std::byte{0});
  const AlignedArray<float> scores(static_cast<size_t>(kRows * (kColumns + 16)));
  std::array<OperandOffsets, kPartPairs.size()> batch;
  std::transform(products.pairs.begin(), products.pairs.end(), batch.begin(), [&](PartPair pair) {
    return OperandOffsets{pair.left * kRows * kWidth * element_bytes,
                          pair.right * kColumns * kWidth * element_bytes};
  });
  const MatrixKernelScope scope;
  double fastest = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const Clock::time_point start = Clock::now();
    (*kernel)->RunBatch(left.data(), right.data(), batch.data(), scores.data());
    fastest = std::min(fastest, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return fastest;
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
  const bool splitting =
      FastestSeconds(kBF16X6Products) * kOverheadOfSplitting < FastestSeconds(kF32Products);
  answer.store(splitting, std::memory_order_relaxed);
  return splitting;
}

}  // namespace attention::kernels
