#include "kernels/visibility.h"

#include <algorithm>
#include <limits>

namespace attention::kernels {
namespace {

constexpr int64_t kLastPosition = std::numeric_limits<int64_t>::max();

// The sum over queries i in [0, count) of clamp(i + offset, low, high), for low <= high.
double SumOfClamped(double offset, double low, double high, double count) {
  const double first_above = std::clamp(low - offset, 0.0, count);
  const double first_at_end = std::clamp(high - offset, first_above, count);
  const double growing = first_at_end - first_above;
  const double growing_sum =
      growing == 0 ? 0 : growing * (offset + (first_above + first_at_end - 1) / 2);
  return first_above * low + growing_sum + (count - first_at_end) * high;
}

}  // namespace

// Ends and beginnings of rows are made as VisibleKeys makes them, in 64 bits: a difference of two
// far positions may be near. Exact below 2^53 pairs.
double CountVisiblePairs(const AttentionProblem& problem, int64_t batch) {
  const auto entry = static_cast<size_t>(batch);
  const auto query_count = static_cast<double>(problem.query.extents[2]);
  const int64_t first = QueryPosition(problem, batch, 0);
  const auto length = static_cast<double>(problem.key_lengths.empty() ? problem.key.extents[2]
                                                                      : problem.key_lengths[entry]);
  const auto sum_of_clamped = [&](int64_t offset, double low, double high) {
    return SumOfClamped(static_cast<double>(offset), low, high, query_count);
  };
  const int64_t window_end =
      SaturatingAdd(SaturatingAdd(first, problem.right_window.value_or(0)), 1);
  // Where both causality and the right window end a row, it ends at the smaller of p + 1 or the
  // prefix, and p + window + 1: at the median of p + 1, the prefix and p + window + 1, since the
  // first is never greater than the last.
  double ends = length * query_count;
  if (problem.causal) {
    const double prefix =
        problem.prefix_lengths.empty()
            ? 0.0
            : std::min(length, static_cast<double>(problem.prefix_lengths[entry]));
    ends = sum_of_clamped(SaturatingAdd(first, 1), prefix, length);
    if (problem.right_window.has_value()) {
      ends += sum_of_clamped(window_end, 0, prefix) - prefix * query_count;
    }
  } else if (problem.right_window.has_value()) {
    ends = sum_of_clamped(window_end, 0, length);
  }
  if (!problem.left_window.has_value()) return ends;
  // No row begins after its end before both have reached the length. Rows at the last position
  // begin together.
  const auto last_begin = static_cast<double>(kLastPosition - *problem.left_window);
  const double growing_count =
      std::min(query_count, static_cast<double>(SaturatingSubtract(kLastPosition, first)));
  return ends -
         SumOfClamped(static_cast<double>(SaturatingSubtract(first, *problem.left_window)), 0,
                      length, growing_count) -
         (query_count - growing_count) * std::min(last_begin, length);
}

}  // namespace attention::kernels
