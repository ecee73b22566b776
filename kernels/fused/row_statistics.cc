#include "kernels/fused/row_statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace attention::kernels {

void RowStatistics::Begin(const FusedCall& call, int64_t batch, int64_t row_count) {
  call_ = &call;
  batch_ = batch;
  rows_.assign(static_cast<size_t>(row_count), Row());
  mass_heads_.clear();
}

void RowStatistics::Write(const MutableTensorView& target, const ScoreRow& score_row,
                          double number) const {
  if (!target.present()) return;
  *reinterpret_cast<float*>(RowAddress(target, batch_, score_row.head, score_row.query)) =
      static_cast<float>(number);
}

void RowStatistics::Take(int64_t row, const ScoreRow& score_row, const Weights& weights) {
  Row& own = rows_[static_cast<size_t>(row)];
  const WeightSummary& summary = weights.summary;
  own.entropy -= std::numbers::ln2 * static_cast<double>(summary.exponent_sum);
  // Once NaN, it stays.
  if (!(summary.maximum <= own.maximum) && !std::isnan(own.maximum)) own.maximum = summary.maximum;
  if (call_->outputs.top_weights.count > 0) TakeTop(own, score_row, weights);
  if (call_->key_mass.wanted()) {
    AddToSums(weights.weights, weights.keys.count,
              MassOf(score_row.head) + (weights.keys.first - keys_.first));
  }
}

void RowStatistics::TakeTop(Row& row, const ScoreRow& score_row, const Weights& weights) {
  const TopWeights& top = call_->outputs.top_weights;
  auto* list =
      reinterpret_cast<float*>(RowAddress(top.weights, batch_, score_row.head, score_row.query));
  TopList top_list = {.weights = list,
                      .keys = top.keys + (list - static_cast<float*>(top.weights.data)),
                      .capacity = top.count,
                      .count = row.top_count};
  TakeIntoTop(weights.weights, weights.keys.count, weights.keys.first, top_list);
  row.top_count = top_list.count;
}

double* RowStatistics::MassOf(int64_t head) {
  const auto found = std::find(mass_heads_.begin(), mass_heads_.end(), head);
  const auto index = static_cast<size_t>(found - mass_heads_.begin());
  const auto stride = static_cast<size_t>(keys_.count);
  if (found == mass_heads_.end()) {
    mass_heads_.push_back(head);
    masses_.resize(std::max(masses_.size(), (index + 1) * stride));
    std::fill_n(masses_.data() + index * stride, stride, 0.0);
  }
  return masses_.data() + index * stride;
}

void RowStatistics::EndKeys() {
  const int64_t head_count = call_->problem.query.extents[1];
  for (size_t index = 0; index < mass_heads_.size(); ++index) {
    call_->key_mass.Add(batch_ * head_count + mass_heads_[index], keys_.first, keys_.count,
                        masses_.data() + index * static_cast<size_t>(keys_.count));
  }
  mass_heads_.clear();
}

void RowStatistics::EndRow(int64_t row, const ScoreRow& score_row) {
  const AttentionOutputs& outputs = call_->outputs;
  const Row& own = rows_[static_cast<size_t>(row)];
  // What rounding leaves of a row with one key may be below 0; a NaN is not.
  Write(outputs.entropy, score_row, own.entropy < 0 ? 0.0 : own.entropy);
  Write(outputs.maximum_weight, score_row, static_cast<double>(own.maximum));
  const TopWeights& top = outputs.top_weights;
  if (top.count == 0) return;
  auto* list =
      reinterpret_cast<float*>(RowAddress(top.weights, batch_, score_row.head, score_row.query));
  int32_t* list_keys = top.keys + (list - static_cast<float*>(top.weights.data));
  std::fill(list + own.top_count, list + top.count, 0.0f);
  std::fill(list_keys + own.top_count, list_keys + top.count, -1);
  if (std::isnan(own.maximum)) list[0] = own.maximum;  // no comparison found it
}

}  // namespace attention::kernels
