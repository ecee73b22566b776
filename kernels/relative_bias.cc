#include "kernels/relative_bias.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attention::kernels {
namespace {

// The logarithmic bucket of a distance of at least `exact_count`, counted from the first of them,
// before it is cut off at the last. In long double, with room for its roundings, so that a distance
// on the border of two buckets falls into the farther one, as in exact arithmetic.
int64_t LogarithmicStep(int64_t distance, int64_t exact_count, int64_t maximum_distance,
                        int64_t step_count) {
  constexpr long double kRoundings = 1e-13L;
  const auto exact = static_cast<long double>(exact_count);
  const long double steps = std::log(static_cast<long double>(distance) / exact) /
                            std::log(static_cast<long double>(maximum_distance) / exact) *
                            static_cast<long double>(step_count);
  return static_cast<int64_t>(std::floor(steps + kRoundings));
}

}  // namespace

DistanceBuckets::DistanceBuckets(const BucketedBias& bias) : bidirectional_(bias.bidirectional) {
  if (bias.table.empty()) return;
  const int64_t bucket_count = bidirectional_ ? bias.bucket_count / 2 : bias.bucket_count;
  exact_count_ = bucket_count / 2;
  const int64_t step_count = bucket_count - exact_count_;
  const auto ratio =
      static_cast<long double>(bias.maximum_distance) / static_cast<long double>(exact_count_);
  const auto step_of = [&](int64_t distance) {
    return LogarithmicStep(distance, exact_count_, bias.maximum_distance, step_count);
  };
  for (int64_t step = 0; step < step_count; ++step) {
    const long double estimate =
        static_cast<long double>(exact_count_) *
        std::pow(ratio, static_cast<long double>(step) / static_cast<long double>(step_count));
    auto distance = std::max(exact_count_, static_cast<int64_t>(estimate));
    while (distance > exact_count_ && step_of(distance - 1) >= step) --distance;
    while (step_of(distance) < step) ++distance;
    first_distances_.push_back(distance);
  }
}

int64_t DistanceBuckets::Find(int64_t distance) const {
  // -distance of the least number does not exist; the greatest falls into the same bucket.
  const int64_t backward = distance == std::numeric_limits<int64_t>::min()
                               ? std::numeric_limits<int64_t>::max()
                               : -distance;
  const auto step_count = static_cast<int64_t>(first_distances_.size());
  const int64_t first = bidirectional_ && distance > 0 ? exact_count_ + step_count : 0;
  const int64_t magnitude =
      bidirectional_ ? std::max(distance, backward) : std::max<int64_t>(backward, 0);
  if (magnitude < exact_count_) return first + magnitude;
  const auto next = std::upper_bound(first_distances_.begin(), first_distances_.end(), magnitude);
  return first + exact_count_ + (next - first_distances_.begin()) - 1;
}

RelativeBias::RelativeBias(const Alibi& alibi, const BucketedBias& bucketed_bias,
                           int64_t query_head_count)
    : alibi_(alibi),
      bucketed_bias_(bucketed_bias),
      query_head_count_(query_head_count),
      buckets_(bucketed_bias) {}

double RelativeBias::At(int64_t head, int64_t distance) const {
  double bias = 0.0;
  if (!alibi_.slopes.empty()) {
    const double slope = alibi_.slopes[static_cast<size_t>(head)];
    const auto steps = static_cast<double>(distance);
    bias += alibi_.symmetric ? -slope * std::abs(steps) : slope * steps;
  }
  if (!bucketed_bias_.table.empty()) {
    const int64_t entry = buckets_.Find(distance) * query_head_count_ + head;
    bias += bucketed_bias_.table[static_cast<size_t>(entry)];
  }
  return bias;
}

}  // namespace attention::kernels
