#include "client/adapters/keras_attention.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/adapters/argument_checks.h"

namespace attention::client {
namespace {

using Adapted = AdaptedRequest<ScaledDotProductAttentionRequest>;

// The widest head that the service takes. Source: the limits in proto/README.md.
constexpr int64_t kMaxHeadWidth = 1024;

absl::Status CheckEmbeddings(const std::string& name, const TensorRef& tensor) {
  return CheckFloats(name, tensor, 3, "[batch, sequence, width]");
}

// What both layers have: everything but the score.
absl::StatusOr<Adapted> Common(const KerasAttentionCall& call) {
  Adapted adapted;
  ScaledDotProductAttentionRequest& request = adapted.request;
  request.query = call.query;
  request.key = call.key.value_or(call.value);
  request.value = call.value;
  absl::Status status = CheckEmbeddings("query", request.query);
  if (status.ok()) status = CheckEmbeddings("key", request.key);
  if (status.ok()) status = CheckEmbeddings("value", request.value);
  if (!status.ok()) return status;
  const Shape& query = call.query.shape();
  const Shape& value = call.value.shape();
  if (call.query_mask) status = CheckBools("query_mask", *call.query_mask, {query[0], query[1]});
  if (status.ok() && call.value_mask)
    status = CheckBools("value_mask", *call.value_mask, {value[0], value[1]});
  if (!status.ok()) return status;
  request.layout = Layout::kPacked;
  request.head_count = 1;
  AttentionOptions& options = request.options;
  if (call.value_mask) {
    const Shape& shape = call.value_mask->shape();
    options.boolean_mask = Reshaped(*call.value_mask, {shape[0], 1, 1, shape[1]});
  }
  if (call.use_causal_mask) options.causal = Causal{.alignment = Causal::Alignment::kTopLeft};
  if (call.value_mask || call.use_causal_mask) options.fully_masked = FullyMaskedPolicy::kUniform;
  options.return_weights = call.return_attention_scores;
  return adapted;
}

// factor * identity, [width, width].
TensorValue ScaledIdentity(DataType type, int64_t width, double factor) {
  const auto size = static_cast<size_t>(width);
  std::vector<double> numbers(size * size);
  for (size_t i = 0; i < size; ++i) numbers[i * size + i] = factor;
  return *TensorValue::FromDoubles(type, {width, width}, numbers);
}

AdditiveScore SumOfTanh(double factor, const TensorRef& vector, Adapted* adapted) {
  const TensorRef identity =
      adapted->Keep(ScaledIdentity(adapted->request.query.type(), vector.shape()[0], factor));
  return {.query_weight = identity, .key_weight = identity, .vector = vector};
}

// Of the query, for which an identity is to be made.
absl::Status CheckWidth(int64_t width) {
  if (width <= kMaxHeadWidth) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("query: got width ", width, ", want <= ", kMaxHeadWidth));
}

TensorRef Repeated(double number, int64_t count, Adapted* adapted) {
  const std::vector<double> numbers(static_cast<size_t>(count), number);
  return adapted->Keep(*TensorValue::FromDoubles(adapted->request.query.type(), {count}, numbers));
}

}  // namespace

absl::StatusOr<Adapted> KerasRequest(const KerasAttention& layer, const KerasAttentionCall& call) {
  absl::StatusOr<Adapted> adapted = Common(call);
  if (!adapted.ok()) return adapted;
  AttentionOptions& options = adapted->request.options;
  const double scale = layer.scale.value_or(1.0);
  if (layer.score_mode == KerasAttention::ScoreMode::kDot) {
    options.scale = scale;
    return adapted;
  }
  const int64_t width = call.query.shape()[2];
  if (absl::Status status = CheckWidth(width); !status.ok()) return status;
  const TensorRef vector = Repeated(layer.concat_score_weight, width, &*adapted);
  options.score = SumOfTanh(scale, vector, &*adapted);
  return adapted;
}

absl::StatusOr<Adapted> KerasRequest(const KerasAdditiveAttention& layer,
                                     const KerasAttentionCall& call) {
  absl::StatusOr<Adapted> adapted = Common(call);
  if (!adapted.ok()) return adapted;
  const int64_t width = call.query.shape()[2];
  absl::Status status = CheckWidth(width);
  // As wide as the query.
  if (status.ok() && layer.scale) status = CheckShape("scale", *layer.scale, {width});
  if (!status.ok()) return status;
  const TensorRef vector = layer.scale ? *layer.scale : Repeated(1.0, width, &*adapted);
  adapted->request.options.score = SumOfTanh(1.0, vector, &*adapted);
  return adapted;
}

absl::StatusOr<KerasAttentionResult> KerasResult(const KerasAttentionCall& call,
                                                 AttentionResult answer) {
  KerasAttentionResult result;
  result.execution = std::move(answer.execution);
  result.output = call.query_mask ? ZeroedRows(answer.output.ref(), *call.query_mask)
                                  : std::move(answer.output);
  if (!call.return_attention_scores) return result;
  if (!answer.weights || answer.weights->shape().size() != 4)
    return absl::InternalError("the server answered without the weights it was asked for");
  Shape shape = answer.weights->shape();
  if (shape[1] != 1) {
    return absl::InternalError(
        absl::StrCat("the server answered with weights ", ToString(shape), ", want one head"));
  }
  shape.erase(shape.begin() + 1);  // the one head
  result.attention_scores = (*std::move(answer.weights)).Reshaped(std::move(shape));
  return result;
}

}  // namespace attention::client
