// The tensors of a result by name: what --tensor and --save choose from.

#ifndef ATTENTION_CLIENT_ATTN_RESULT_TENSOR_H_
#define ATTENTION_CLIENT_ATTN_RESULT_TENSOR_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "client/attention_options.h"
#include "client/results.h"

namespace attention::client {

enum class ResultTensor : uint8_t {
  kOutput,
  kWeights,
  kScores,
  kLogSumExp,
  kTopWeights,
  kTopKeys,
  kEntropy,
  kKeyMass,
  kMaximumWeight,
  kPresentKey,
  kPresentValue,
};

struct NamedResultTensor {
  ResultTensor tensor;
  std::string_view word;        // on the command line
  std::string_view field_name;  // in JSON, as in attention.v1.AttentionResponse
};

inline constexpr std::array<NamedResultTensor, 11> kResultTensors = {{
    {ResultTensor::kOutput, "output", "output"},
    {ResultTensor::kWeights, "weights", "weights"},
    {ResultTensor::kScores, "scores", "scores"},
    {ResultTensor::kLogSumExp, "log-sum-exp", "log_sum_exp"},
    {ResultTensor::kTopWeights, "top-weights", "top_weights"},
    {ResultTensor::kTopKeys, "top-keys", "top_keys"},
    {ResultTensor::kEntropy, "entropy", "entropy"},
    {ResultTensor::kKeyMass, "key-mass", "key_mass"},
    {ResultTensor::kMaximumWeight, "maximum-weight", "maximum_weight"},
    {ResultTensor::kPresentKey, "present-key", "present_key"},
    {ResultTensor::kPresentValue, "present-value", "present_value"},
}};

// Null if the result lacks it.
[[nodiscard]] const TensorValue* Find(const AttentionResult& result, ResultTensor tensor);

// Asks for the tensor, where the options are what asks.
void Request(ResultTensor tensor, AttentionOptions* options);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_RESULT_TENSOR_H_
