#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

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

// Exact as long as positions and windows are; beyond 2^53 they are rounded.
double CountVisiblePairs(const AttentionProblem& problem, int64_t batch) {
  const auto entry = static_cast<size_t>(batch);
  const auto query_count = static_cast<double>(problem.query.extents[2]);
  const auto offset = static_cast<double>(QueryPosition(problem, batch, 0));
  const auto length = static_cast<double>(
      problem.key_lengths.empty() ? problem.key.extents[2] : problem.key_lengths[entry]);
  const auto sum_of_clamped = [&](double shift, double low, double high) {
    return SumOfClamped(offset + shift, low, high, query_count);
  };
  // Where both causality and the right window end a row, it ends at the smaller of p + 1 or the
  // prefix, and p + window + 1: at the median of p + 1, the prefix and p + window + 1, since the
  // first is never greater than the last.
  double ends = length * query_count;
  if (problem.causal) {
    const double prefix =
        problem.prefix_lengths.empty()
            ? 0.0
            : std::min(length, static_cast<double>(problem.prefix_lengths[entry]));
    ends = sum_of_clamped(1, prefix, length);
    if (problem.right_window.has_value()) {
      const auto window = static_cast<double>(*problem.right_window);
      ends += sum_of_clamped(window + 1, 0, prefix) - prefix * query_count;
    }
  } else if (problem.right_window.has_value()) {
    ends = sum_of_clamped(static_cast<double>(*problem.right_window) + 1, 0, length);
  }
  if (!problem.left_window.has_value()) return ends;
  // No row begins after its end before both have reached the length.
  return ends - sum_of_clamped(-static_cast<double>(*problem.left_window), 0, length);
}

}  // namespace attention::kernels
