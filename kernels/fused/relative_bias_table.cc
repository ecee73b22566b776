#include "kernels/fused/relative_bias_table.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/relative_bias.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

// Finite numbers stay finite.
float RoundToF32(double number) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(number, -kLargest, kLargest));
}

}  // namespace

double RelativeBiasTable::MaxBytes(const AttentionProblem& problem) {
  if (problem.alibi.slopes.empty() && problem.bucketed_bias.table.empty()) return 0;
  const Extents& query = problem.query.extents;
  const double distances =
      static_cast<double>(query[2]) + static_cast<double>(problem.key.extents[2]);
  const double stretches = problem.query_offsets.empty() ? 1.0 : static_cast<double>(query[0]);
  const double distance_bytes = sizeof(int64_t) + sizeof(float) * static_cast<double>(query[1]);
  return distances * stretches * distance_bytes + kReadableAfterwards * sizeof(float);
}

void RelativeBiasTable::Begin(const AttentionProblem& problem) {
  present_ = !problem.alibi.slopes.empty() || !problem.bucketed_bias.table.empty();
  if (!present_) return;
  FindStretches(problem);
  const Stretch& last = stretches_.back();
  head_stride_ = last.first + last.count;
  biases_.resize(
      static_cast<size_t>(problem.query.extents[1] * head_stride_ + kReadableAfterwards));
  for (const Stretch& stretch : stretches_) Fill(problem, stretch);
}

void RelativeBiasTable::FindStretches(const AttentionProblem& problem) {
  const int64_t batch_count = problem.query.extents[0];
  const int64_t last_query = problem.query.extents[2] - 1;
  const int64_t own_count = problem.query.extents[2] + problem.key.extents[2];
  order_.resize(static_cast<size_t>(batch_count));
  std::iota(order_.begin(), order_.end(), 0);
  const auto offset_of = [&](int64_t batch) { return QueryPosition(problem, batch, 0); };
  std::sort(order_.begin(), order_.end(),
            [&](int64_t a, int64_t b) { return offset_of(a) > offset_of(b); });
  bases_.resize(order_.size());
  stretches_.clear();
  for (const int64_t batch : order_) {
    const int64_t offset = offset_of(batch);
    const bool extends =
        !stretches_.empty() &&
        SaturatingSubtract(stretches_.back().offset, offset) <= stretches_.back().count;
    if (!extends) {
      const int64_t first =
          stretches_.empty() ? 0 : stretches_.back().first + stretches_.back().count;
      stretches_.push_back({.first = first, .count = 0, .offset = offset});
    }
    Stretch& stretch = stretches_.back();
    const int64_t shift = SaturatingSubtract(stretch.offset, offset);
    stretch.count = shift + own_count;
    bases_[static_cast<size_t>(batch)] = stretch.first + shift + last_query;
  }
}

void RelativeBiasTable::Fill(const AttentionProblem& problem, const Stretch& stretch) {
  const int64_t last_query = problem.query.extents[2] - 1;
  const int64_t head_count = problem.query.extents[1];
  const BucketedBias& bucketed = problem.bucketed_bias;
  const auto distance = [&](int64_t i) {
    return SaturatingSubtract(i - last_query, stretch.offset);
  };
  if (!bucketed.table.empty()) {
    const DistanceBuckets buckets(bucketed);
    buckets_.resize(static_cast<size_t>(stretch.count));
    for (int64_t i = 0; i < stretch.count; ++i) {
      buckets_[static_cast<size_t>(i)] = buckets.Find(distance(i));
    }
  }
  for (int64_t head = 0; head < head_count; ++head) {
    float* biases = biases_.data() + head * head_stride_ + stretch.first;
    for (int64_t i = 0; i < stretch.count; ++i) {
      double bias = AlibiBias(problem.alibi, head, static_cast<double>(distance(i)));
      if (!bucketed.table.empty()) {
        const int64_t bucket = buckets_[static_cast<size_t>(i)];
        bias += bucketed.table[static_cast<size_t>(bucket * head_count + head)];
      }
      biases[i] = RoundToF32(bias);
    }
  }
}

}  // namespace attention::kernels
