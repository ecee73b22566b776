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

// What decides where the logarithmic buckets of one direction begin.
struct Steps {
  int64_t exact_count = 0;
  int64_t step_count = 0;
  int64_t maximum_distance = 0;

  bool operator==(const Steps&) const = default;
};

std::vector<int64_t> FindFirstDistances(const Steps& steps) {
  const auto [exact_count, step_count, maximum_distance] = steps;
  const auto ratio =
      static_cast<long double>(maximum_distance) / static_cast<long double>(exact_count);
  std::vector<int64_t> first_distances;
  first_distances.reserve(static_cast<size_t>(step_count));
  for (int64_t step = 0; step < step_count; ++step) {
    const auto reached = [&](int64_t distance) {
      return LogarithmicStep(distance, exact_count, maximum_distance, step_count) >= step;
    };
    const long double estimate =
        static_cast<long double>(exact_count) *
        std::pow(ratio, static_cast<long double>(step) / static_cast<long double>(step_count));
    auto distance = std::max(exact_count, static_cast<int64_t>(estimate));
    while (distance > exact_count && reached(distance - 1)) --distance;
    while (!reached(distance)) ++distance;
    first_distances.push_back(distance);
  }
  return first_distances;
}

std::shared_ptr<const std::vector<int64_t>> FirstDistances(const Steps& steps) {
  thread_local Steps last_steps;
  thread_local std::shared_ptr<const std::vector<int64_t>> last;
  if (last == nullptr || steps != last_steps) {
    last = std::make_shared<const std::vector<int64_t>>(FindFirstDistances(steps));
    last_steps = steps;
  }
  return last;
}

}  // namespace

DistanceBuckets::DistanceBuckets(const BucketedBias& bias) : bidirectional_(bias.bidirectional) {
  if (bias.table.empty()) return;
  const int64_t bucket_count = bidirectional_ ? bias.bucket_count / 2 : bias.bucket_count;
  exact_count_ = bucket_count / 2;
  first_distances_ = FirstDistances({.exact_count = exact_count_,
                                     .step_count = bucket_count - exact_count_,
                                     .maximum_distance = bias.maximum_distance});
}

int64_t DistanceBuckets::Find(int64_t distance) const {
  // -distance of the least number does not exist; the greatest falls into the same bucket.
  const int64_t backward = distance == std::numeric_limits<int64_t>::min()
                               ? std::numeric_limits<int64_t>::max()
                               : -distance;
  const std::vector<int64_t>& first_distances = *first_distances_;
  const auto step_count = static_cast<int64_t>(first_distances.size());
  const int64_t first = bidirectional_ && distance > 0 ? exact_count_ + step_count : 0;
  const int64_t magnitude =
      bidirectional_ ? std::max(distance, backward) : std::max<int64_t>(backward, 0);
  if (magnitude < exact_count_) return first + magnitude;
  const auto next = std::upper_bound(first_distances.begin(), first_distances.end(), magnitude);
  return first + exact_count_ + (next - first_distances.begin()) - 1;
}

RelativeBias::RelativeBias(const Alibi& alibi, const BucketedBias& bucketed_bias,
                           int64_t query_head_count)
    : alibi_(alibi),
      bucketed_bias_(bucketed_bias),
      query_head_count_(query_head_count),
      buckets_(bucketed_bias) {}

double RelativeBias::At(int64_t head, int64_t distance) const {
  double bias = AlibiBias(alibi_, head, static_cast<double>(distance));
  if (!bucketed_bias_.table.empty()) {
    const int64_t entry = buckets_.Find(distance) * query_head_count_ + head;
    bias += bucketed_bias_.table[static_cast<size_t>(entry)];
  }
  return bias;
}

}  // namespace attention::kernels
