#include <utility>

#include "absl/strings/str_cat.h"
#include "client/messages.h"

namespace attention::client {
namespace {

std::optional<DataType> FromMessage(v1::DataType type) {
  switch (type) {
    case v1::DATA_TYPE_UNSPECIFIED:
    case v1::DATA_TYPE_F32:
      return DataType::kF32;
    case v1::DATA_TYPE_F16:
      return DataType::kF16;
    case v1::DATA_TYPE_BF16:
      return DataType::kBF16;
    case v1::DATA_TYPE_F64:
      return DataType::kF64;
    case v1::DATA_TYPE_BOOL:
      return DataType::kBool;
    case v1::DATA_TYPE_INT32:
      return DataType::kInt32;
    case v1::DATA_TYPE_INT64:
      return DataType::kInt64;
    default:
      return std::nullopt;
  }
}

std::optional<Precision> FromMessage(v1::Precision precision) {
  switch (precision) {
    case v1::PRECISION_F32:
      return Precision::kF32;
    case v1::PRECISION_BF16_X6:
      return Precision::kBF16X6;
    case v1::PRECISION_BF16_X3:
      return Precision::kBF16X3;
    case v1::PRECISION_BF16:
      return Precision::kBF16;
    case v1::PRECISION_F32_GRADE_FASTEST:
      return Precision::kF32GradeFastest;
    default:
      return std::nullopt;
  }
}

absl::StatusOr<TensorValue> FromMessage(absl::string_view field, v1::Tensor message) {
  const std::optional<DataType> type = FromMessage(message.data_type());
  if (!type)
    return absl::InternalError(
        absl::StrCat("the server answered with an unknown element type in ", field));
  Shape shape(message.shape().begin(), message.shape().end());
  absl::StatusOr<TensorValue> tensor =
      message.floats().empty()
          ? TensorValue::Create(*type, std::move(shape), std::move(*message.mutable_raw()))
          : TensorValue::FromDoubles(
                *type, std::move(shape),
                std::vector<double>(message.floats().begin(), message.floats().end()));
  if (!tensor.ok()) {
    return absl::InternalError(absl::StrCat("the server's answer contradicts itself in ", field,
                                            ": ", tensor.status().message()));
  }
  return tensor;
}

Execution FromMessage(const v1::Execution& message) {
  return {
      .implementation = message.implementation(),
      .precision = message.precision(),
      .thread_count = message.thread_count(),
      .queue_ns = message.queue_ns(),
      .compute_ns = message.compute_ns(),
      .total_ns = message.total_ns(),
      .request_id = message.request_id(),
  };
}

}  // namespace

absl::StatusOr<AttentionResult> FromMessage(v1::AttentionResponse response) {
  if (!response.has_output()) return absl::InternalError("the server answered without an output");
  absl::StatusOr<TensorValue> output = FromMessage("output", std::move(*response.mutable_output()));
  if (!output.ok()) return output.status();
  AttentionResult result;
  result.output = *std::move(output);
  if (response.has_weights()) {
    absl::StatusOr<TensorValue> weights =
        FromMessage("weights", std::move(*response.mutable_weights()));
    if (!weights.ok()) return weights.status();
    result.weights = *std::move(weights);
  }
  if (response.has_scores()) {
    absl::StatusOr<TensorValue> scores =
        FromMessage("scores", std::move(*response.mutable_scores()));
    if (!scores.ok()) return scores.status();
    result.scores = *std::move(scores);
  }
  result.execution = FromMessage(response.execution());
  return result;
}

ServerInfo FromMessage(const v1::GetServerInfoResponse& response) {
  return {
      .version = response.version(),
      .implementations = {response.implementations().begin(), response.implementations().end()},
      .instruction_set = response.instruction_set(),
      .compute_thread_count = response.compute_thread_count(),
      .max_request_bytes = response.max_request_bytes(),
      .max_response_bytes = response.max_response_bytes(),
      .max_request_flops = response.max_request_flops(),
      .max_request_float64_flops = response.max_request_float64_flops(),
      .queue_capacity = response.queue_capacity(),
      .default_precision = FromMessage(response.default_precision()),
  };
}

}  // namespace attention::client
