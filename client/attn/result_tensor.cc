#include "client/attn/result_tensor.h"

#include <algorithm>
#include <optional>

namespace attention::client {
namespace {

const TensorValue* OrNull(const std::optional<TensorValue>& tensor) {
  return tensor ? &*tensor : nullptr;
}

}  // namespace

const TensorValue* Find(const AttentionResult& result, ResultTensor tensor) {
  switch (tensor) {
    case ResultTensor::kOutput:
      return &result.output;
    case ResultTensor::kWeights:
      return OrNull(result.weights);
    case ResultTensor::kScores:
      return OrNull(result.scores);
    case ResultTensor::kLogSumExp:
      return OrNull(result.log_sum_exp);
    case ResultTensor::kTopWeights:
      return OrNull(result.top_weights);
    case ResultTensor::kTopKeys:
      return OrNull(result.top_keys);
    case ResultTensor::kEntropy:
      return OrNull(result.entropy);
    case ResultTensor::kKeyMass:
      return OrNull(result.key_mass);
    case ResultTensor::kMaximumWeight:
      return OrNull(result.maximum_weight);
    case ResultTensor::kPresentKey:
      return OrNull(result.present_key);
    case ResultTensor::kPresentValue:
      break;
  }
  return OrNull(result.present_value);
}

void Request(ResultTensor tensor, AttentionOptions* options) {
  switch (tensor) {
    case ResultTensor::kWeights:
      options->return_weights = true;
      break;
    case ResultTensor::kScores:
      if (!options->return_scores) options->return_scores = ScoresKind::kMasked;
      break;
    case ResultTensor::kLogSumExp:
      options->return_log_sum_exp = true;
      break;
    case ResultTensor::kTopWeights:
    case ResultTensor::kTopKeys:
      options->return_top_weights = std::max(options->return_top_weights, 1);
      break;
    case ResultTensor::kEntropy:
      options->return_entropy = true;
      break;
    case ResultTensor::kKeyMass:
      options->return_key_mass = true;
      break;
    case ResultTensor::kMaximumWeight:
      options->return_maximum_weight = true;
      break;
    case ResultTensor::kOutput:
    case ResultTensor::kPresentKey:
    case ResultTensor::kPresentValue:
      break;
  }
}

}  // namespace attention::client
