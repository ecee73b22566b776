#include "kernels/fused/row_outputs.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {

float RowOutputs::Finish(const ScoreRow& row, const SoftmaxState& state, float* running_output) {
  const int64_t width = call_.problem.value.extents[3];
  const MutableTensorView& log_sum_exp = call_.outputs.log_sum_exp;
  if (log_sum_exp.present()) {
    *reinterpret_cast<float*>(RowAddress(log_sum_exp, batch_, row.head, row.query)) =
        static_cast<float>(state.LogSumExp());
  }
  const double head_factor = call_.HeadFactor(row.head);
  auto factor = static_cast<float>(static_cast<double>(state.normalizer()) * head_factor);
  const bool sums_nothing =
      call_.problem.key.extents[2] == 0 ||
      (state.saw_nothing() && call_.options.fully_masked == FullyMasked::kZeros);
  const bool zeros = head_factor == 0 || sums_nothing;
  if (zeros) {
    std::fill_n(running_output, width, 0.0f);
    factor = 0;  // NaN until now, where the row's weights are
  } else if (state.saw_nothing() && call_.options.fully_masked == FullyMasked::kNan) {
    std::fill_n(running_output, width, std::numeric_limits<float>::quiet_NaN());
    factor = 1;
  } else if (state.saw_nothing()) {
    std::copy_n(MeanValues(), width, running_output);
    factor = static_cast<float>(head_factor);
  }
  return factor;
}

const float* RowOutputs::MeanValues() {
  thread_local std::vector<float> mean;
  if (knows_mean_) return mean.data();
  const TensorView& view = call_.problem.value;
  const auto width = static_cast<size_t>(view.extents[3]);
  thread_local std::vector<double> sums;
  mean.resize(width);
  sums.assign(width, 0.0);
  for (int64_t key = 0; key < view.extents[2]; ++key) {
    ConvertToF32(view.type, RowAddress(view, batch_, key_value_head_, key), view.extents[3],
                 mean.data());
    for (size_t i = 0; i < width; ++i) sums[i] += static_cast<double>(mean[i]);
  }
  const auto key_count = static_cast<double>(view.extents[2]);
  for (size_t i = 0; i < width; ++i) mean[i] = static_cast<float>(sums[i] / key_count);
  knows_mean_ = true;
  return mean.data();
}

}  // namespace attention::kernels
