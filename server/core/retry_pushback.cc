#include "server/core/retry_pushback.h"

#include <algorithm>
#include <cmath>

namespace attention::server {
namespace {

constexpr double kLeastMilliseconds = 20;
constexpr double kMostMilliseconds = 5000;

// The share of the newest task in the mean.
constexpr double kShare = 1.0 / 16;

constexpr double kSpread = 0.25;

// Multiples of it, without their whole parts, lie evenly spread however many they are.
constexpr double kGoldenRatio = 0.6180339887498949;

}  // namespace

void RetryPushback::Computed(double seconds) {
  // Of two threads at once one may be lost: it is a mean of many.
  const double mean = mean_seconds_.load(std::memory_order_relaxed);
  mean_seconds_.store(mean + kShare * (seconds - mean), std::memory_order_relaxed);
}

int64_t RetryPushback::Milliseconds(int64_t queue_depth) {
  const double tasks = static_cast<double>(std::max<int64_t>(queue_depth, 0)) + 1;
  const double mean = mean_seconds_.load(std::memory_order_relaxed);
  // Within bounds that the spread does not leave.
  const double wanted =
      std::clamp(1000 * tasks * mean / thread_count_, kLeastMilliseconds / (1 - kSpread),
                 kMostMilliseconds / (1 + kSpread));
  const double turns = kGoldenRatio * count_.fetch_add(1, std::memory_order_relaxed);
  const double turn = turns - std::floor(turns);
  return std::llround(wanted * (1 + kSpread * (2 * turn - 1)));
}

}  // namespace attention::server
