// The biases of attention scores that depend on nothing but the head and the distance j - p of key
// j from the query's position p. Formulas and sources: Alibi and BucketedBias in
// attention_problem.h.

#ifndef ATTENTION_KERNELS_RELATIVE_BIAS_H_
#define ATTENTION_KERNELS_RELATIVE_BIAS_H_

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/attention_problem.h"

namespace attention::kernels {

// The buckets of a BucketedBias. Thread safety: immutable.
class DistanceBuckets {
 public:
  // Expects a valid bias; one without a table has no buckets to find. A thread keeps the borders of
  // its last buckets, so that many small problems with the same ones find them once.
  explicit DistanceBuckets(const BucketedBias& bias);

  // In [0, bucket_count), for any distance.
  [[nodiscard]] int64_t Find(int64_t distance) const;

 private:
  bool bidirectional_ = false;
  // Of one direction. Distances below exact_count_ have a bucket each; the following begin at
  // first_distances_, which is null without a table.
  int64_t exact_count_ = 0;
  std::shared_ptr<const std::vector<int64_t>> first_distances_;
};

// The bias of ALiBi alone; 0 without slopes.
[[nodiscard]] inline double AlibiBias(const Alibi& alibi, int64_t head, double distance) {
  if (alibi.slopes.empty()) return 0.0;
  const double slope = alibi.slopes[static_cast<size_t>(head)];
  return slope * (alibi.symmetric ? -std::abs(distance) : distance);
}

// Both kinds together, for one problem, whose spans must outlive this. Thread safety: immutable.
class RelativeBias {
 public:
  RelativeBias(const Alibi& alibi, const BucketedBias& bucketed_bias, int64_t query_head_count);

  // Whether there is any; without, every bias is 0.
  [[nodiscard]] bool present() const {
    return !alibi_.slopes.empty() || !bucketed_bias_.table.empty();
  }

  // Takes any distance.
  [[nodiscard]] double At(int64_t head, int64_t distance) const;

 private:
  const Alibi alibi_;
  const BucketedBias bucketed_bias_;
  const int64_t query_head_count_;
  const DistanceBuckets buckets_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_RELATIVE_BIAS_H_
