#include "kernels/unfused/softmax_row.h"

#include <algorithm>

#include "kernels/convert.h"

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double Rounded(DataType type, double value) {
  double element = 0.0;  // room for any type
  StoreElements(type, &value, 1, &element);
  return LoadElement(type, &element);
}

}  // namespace

SoftmaxSum SoftmaxRow(const uint8_t* visible, int64_t key_count, double sink, double* row) {
  SoftmaxSum softmax = {.maximum = sink, .sum = 0.0};
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] != 0) softmax.maximum = std::max(softmax.maximum, row[j]);
  }
  if (sink != -kInfinity) {
    // An infinite sink is its own maximum, and their difference no number.
    softmax.sum = sink == softmax.maximum ? 1.0 : std::exp(sink - softmax.maximum);
  }
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] == 0 || row[j] == -kInfinity) continue;
    row[j] = std::exp(row[j] - softmax.maximum);
    softmax.sum += row[j];
  }
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] != 0) row[j] = row[j] == -kInfinity ? 0.0 : row[j] / softmax.sum;
  }
  return softmax;
}

double RowEntropy(const double* weights, int64_t key_count) {
  double entropy = 0.0;
  for (int64_t j = 0; j < key_count; ++j) {
    if (weights[j] != 0.0) entropy -= weights[j] * std::log(weights[j]);
  }
  return entropy;
}

double RowMaximum(const double* weights, int64_t key_count) {
  double maximum = 0.0;
  for (int64_t j = 0; j < key_count; ++j) {
    if (std::isnan(weights[j])) return weights[j];
    maximum = std::max(maximum, weights[j]);
  }
  return maximum;
}

void RowTopWeights(const double* weights, int64_t key_count, DataType type,
                   std::vector<WeightOfKey>& scratch, int64_t count, double* top_weights,
                   int32_t* top_keys) {
  scratch.clear();
  bool any_nan = false;
  for (int64_t j = 0; j < key_count; ++j) {
    any_nan = any_nan || std::isnan(weights[j]);
    const double weight = Rounded(type, weights[j]);
    if (weight > 0.0) scratch.push_back({weight, static_cast<int32_t>(j)});
  }
  std::fill_n(top_weights, count, 0.0);
  std::fill_n(top_keys, count, -1);
  if (any_nan) {
    std::fill_n(top_weights, count, std::numeric_limits<double>::quiet_NaN());
    return;
  }
  const auto found = std::min(count, static_cast<int64_t>(scratch.size()));
  std::partial_sort(scratch.begin(), scratch.begin() + found, scratch.end(),
                    [](const WeightOfKey& a, const WeightOfKey& b) {
                      return a.weight > b.weight || (a.weight == b.weight && a.key < b.key);
                    });
  for (int64_t rank = 0; rank < found; ++rank) {
    top_weights[rank] = scratch[static_cast<size_t>(rank)].weight;
    top_keys[rank] = scratch[static_cast<size_t>(rank)].key;
  }
}

}  // namespace attention::kernels
