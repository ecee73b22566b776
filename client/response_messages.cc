#include <algorithm>
#include <initializer_list>
#include <optional>
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

absl::Status Contradiction(absl::string_view field, absl::string_view problem) {
  return absl::InternalError(
      absl::StrCat("the server's answer contradicts itself in ", field, ": ", problem));
}

// Whether who shows the tensor can make a list for each of its rows. A shape without elements may
// claim any number of them.
bool HasCountableRows(Shape shape) {
  constexpr int64_t kMaxRows = int64_t{1} << 24;
  const absl::StatusOr<int64_t> own = ElementCount(shape);
  std::ranges::replace(shape, 0, 1);
  return !own.ok() || *own > 0 || ElementCount(shape).value_or(kMaxRows + 1) <= kMaxRows;
}

absl::StatusOr<TensorValue> FromMessage(absl::string_view field, v1::Tensor message) {
  const std::optional<DataType> type = FromMessage(message.data_type());
  if (!type)
    return absl::InternalError(
        absl::StrCat("the server answered with an unknown element type in ", field));
  Shape shape(message.shape().begin(), message.shape().end());
  if (!HasCountableRows(shape))
    return Contradiction(field, absl::StrCat("shape ", ToString(shape), " has no elements"));
  absl::StatusOr<TensorValue> tensor =
      message.floats().empty()
          ? TensorValue::Create(*type, std::move(shape), std::move(*message.mutable_raw()))
          : TensorValue::FromDoubles(
                *type, std::move(shape),
                std::vector<double>(message.floats().begin(), message.floats().end()));
  if (!tensor.ok()) return Contradiction(field, tensor.status().message());
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

// Takes tensors out of an answer and remembers the first one that contradicts itself.
class Reader {
 public:
  TensorValue Read(absl::string_view field, v1::Tensor* message) {
    absl::StatusOr<TensorValue> tensor = FromMessage(field, std::move(*message));
    if (tensor.ok()) return *std::move(tensor);
    if (status_.ok()) status_ = tensor.status();
    return {};
  }

  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

// Those of the tensors that are there have one shape.
struct NamedTensor {
  const char* field;
  const std::optional<TensorValue>& tensor;
};

absl::Status CheckSameShape(std::initializer_list<NamedTensor> tensors) {
  const NamedTensor* first = nullptr;
  for (const NamedTensor& named : tensors) {
    if (!named.tensor) continue;
    if (first == nullptr) first = &named;
    if (named.tensor->shape() == first->tensor->shape()) continue;
    return Contradiction(
        named.field, absl::StrCat("shape ", ToString(named.tensor->shape()), ", but ", first->field,
                                  " has ", ToString(first->tensor->shape())));
  }
  return absl::OkStatus();
}

// What tells one thing about each query, or about each of its strongest keys, or of all keys.
absl::Status CheckShapes(const AttentionResult& result) {
  absl::Status status = CheckSameShape({{"log_sum_exp", result.log_sum_exp},
                                        {"entropy", result.entropy},
                                        {"maximum_weight", result.maximum_weight}});
  status.Update(
      CheckSameShape({{"top_weights", result.top_weights}, {"top_keys", result.top_keys}}));
  status.Update(CheckSameShape({{"weights", result.weights}, {"scores", result.scores}}));
  return status;
}

absl::Status Missing(absl::string_view field) {
  return absl::InternalError(absl::StrCat("the server answered without ", field));
}

}  // namespace

absl::StatusOr<AttentionResult> FromMessage(v1::AttentionResponse response) {
  if (!response.has_output()) return Missing("output");
  Reader reader;
  AttentionResult result;
  result.output = reader.Read("output", response.mutable_output());
  if (response.has_weights()) result.weights = reader.Read("weights", response.mutable_weights());
  if (response.has_scores()) result.scores = reader.Read("scores", response.mutable_scores());
  if (response.has_log_sum_exp())
    result.log_sum_exp = reader.Read("log_sum_exp", response.mutable_log_sum_exp());
  if (response.has_top_weights())
    result.top_weights = reader.Read("top_weights", response.mutable_top_weights());
  if (response.has_top_keys())
    result.top_keys = reader.Read("top_keys", response.mutable_top_keys());
  if (response.has_entropy()) result.entropy = reader.Read("entropy", response.mutable_entropy());
  if (response.has_key_mass())
    result.key_mass = reader.Read("key_mass", response.mutable_key_mass());
  if (response.has_maximum_weight())
    result.maximum_weight = reader.Read("maximum_weight", response.mutable_maximum_weight());
  if (response.has_present_key())
    result.present_key = reader.Read("present_key", response.mutable_present_key());
  if (response.has_present_value())
    result.present_value = reader.Read("present_value", response.mutable_present_value());
  result.execution = FromMessage(response.execution());
  if (!reader.status().ok()) return reader.status();
  if (absl::Status status = CheckShapes(result); !status.ok()) return status;
  return result;
}

absl::StatusOr<RotaryEmbeddingResult> FromMessage(v1::ApplyRotaryEmbeddingResponse response) {
  if (!response.has_output()) return Missing("output");
  Reader reader;
  RotaryEmbeddingResult result;
  result.output = reader.Read("output", response.mutable_output());
  result.execution = FromMessage(response.execution());
  if (!reader.status().ok()) return reader.status();
  return result;
}

absl::StatusOr<MergedStateResult> FromMessage(v1::MergeAttentionStatesResponse response) {
  if (!response.has_output()) return Missing("output");
  if (!response.has_log_sum_exp()) return Missing("log_sum_exp");
  Reader reader;
  MergedStateResult result;
  result.output = reader.Read("output", response.mutable_output());
  result.log_sum_exp = reader.Read("log_sum_exp", response.mutable_log_sum_exp());
  result.execution = FromMessage(response.execution());
  if (!reader.status().ok()) return reader.status();
  return result;
}

LayerInfo FromMessage(const v1::Layer& layer) {
  const auto map = [](bool present, const v1::Layer::LinearMap& message) {
    std::optional<LayerInfo::LinearMap> result;
    if (present) result = {message.input_width(), message.output_width(), message.has_bias()};
    return result;
  };
  return {
      .name = layer.name(),
      .type = FromMessage(layer.data_type()),
      .head_count = layer.head_count(),
      .key_value_head_count = layer.key_value_head_count(),
      .format = layer.format(),
      .query = map(layer.has_query(), layer.query()),
      .key = map(layer.has_key(), layer.key()),
      .value = map(layer.has_value(), layer.value()),
      .output = map(layer.has_output(), layer.output()),
      .appends_key_value = layer.appends_key_value(),
      .scale = layer.has_scale() ? std::optional<double>(layer.scale()) : std::nullopt,
      .sinks = {layer.sinks().begin(), layer.sinks().end()},
  };
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
