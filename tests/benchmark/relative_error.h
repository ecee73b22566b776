// How far a result is from the right one, and how far it may be.

#ifndef ATTENTION_TESTS_BENCHMARK_RELATIVE_ERROR_H_
#define ATTENTION_TESTS_BENCHMARK_RELATIVE_ERROR_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kernels/tensor_view.h"

namespace attention::benchmark {

// Of some elements, in the Frobenius norm.
class RelativeError {
 public:
  // Elements as they should be, as they are, and as the naive computation in the same precision has
  // them.
  void Add(const std::vector<double>& want, const std::vector<double>& got,
           const std::vector<double>& naive);

  // OK if the error is at most twice the naive computation's; 2e-5 for "bf16_x3", which has none.
  // Two roundings of results of the type are always granted, since a few may happen to be exact.
  // Else kInternal with `what` and both numbers. A NaN is an error.
  [[nodiscard]] absl::Status Judge(absl::string_view what, kernels::DataType type,
                                   std::string_view precision) const;

 private:
  // Sums of squares.
  double want_ = 0;
  double got_distance_ = 0;
  double naive_distance_ = 0;
};

// The type in which the naive computation for `precision` reads its operands.
[[nodiscard]] kernels::DataType NaiveType(kernels::DataType type, std::string_view precision);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_RELATIVE_ERROR_H_
