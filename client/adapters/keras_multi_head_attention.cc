#include "client/adapters/keras_multi_head_attention.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/adapters/argument_checks.h"

namespace attention::client {
namespace {

using Adapted = AdaptedRequest<MultiHeadAttentionRequest>;

// The bias [heads, width of one head] as [heads * width].
std::optional<TensorRef> FlatBias(const std::optional<TensorRef>& bias) {
  if (!bias) return std::nullopt;
  return Reshaped(*bias, {ElementCount(bias->shape()).value_or(0)});
}

// [dim, heads, width] as [dim, heads * width].
Projection InputProjection(const KerasProjection& given) {
  const Shape& shape = given.kernel.shape();
  return {.weight = Reshaped(given.kernel, {shape[0], shape[1] * shape[2]}),
          .bias = FlatBias(given.bias)};
}

// [heads, width, out] as [heads * width, out].
Projection OutputProjection(const KerasProjection& given) {
  const Shape& shape = given.kernel.shape();
  return {.weight = Reshaped(given.kernel, {shape[0] * shape[1], shape[2]}),
          .bias = FlatBias(given.bias)};
}

// One axis of a kernel, which another kernel has, too.
struct SharedExtent {
  const char* name;
  int64_t got;
  int64_t want;
  const char* of;
};

absl::Status CheckKernels(const KerasMultiHeadAttention& layer) {
  absl::Status status = CheckFloats("query.kernel", layer.query.kernel, 3, "[dim, heads, key_dim]");
  status.Update(CheckFloats("key.kernel", layer.key.kernel, 3, "[dim, heads, key_dim]"));
  status.Update(CheckFloats("value.kernel", layer.value.kernel, 3, "[dim, heads, value_dim]"));
  status.Update(CheckFloats("output.kernel", layer.output.kernel, 3, "[heads, value_dim, width]"));
  if (!status.ok()) return status;
  const Shape& query = layer.query.kernel.shape();
  const Shape& key = layer.key.kernel.shape();
  const Shape& value = layer.value.kernel.shape();
  const Shape& output = layer.output.kernel.shape();
  for (const SharedExtent& extent : {
           SharedExtent{"key.kernel.shape[2]", key[2], query[2], "as in query.kernel"},
           {"value.kernel.shape[1]", value[1], key[1], "as in key.kernel"},
           {"output.kernel.shape[0]", output[0], query[1], "the heads of query.kernel"},
           {"output.kernel.shape[1]", output[1], value[2], "the width of value.kernel"},
       }) {
    if (extent.got == extent.want) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(extent.name, ": got ", extent.got, ", want ", extent.want, ", ", extent.of));
  }
  return absl::OkStatus();
}

// The bias of a kernel [dim, heads, width] is [heads, width].
absl::Status CheckBias(const std::string& name, const KerasProjection& projection) {
  if (!projection.bias) return absl::OkStatus();
  const Shape& kernel = projection.kernel.shape();
  return CheckShape(name, *projection.bias, {kernel[1], kernel[2]});
}

absl::Status CheckLayer(const KerasMultiHeadAttention& layer) {
  absl::Status status = CheckKernels(layer);
  if (!status.ok()) return status;
  status.Update(CheckBias("query.bias", layer.query));
  status.Update(CheckBias("key.bias", layer.key));
  status.Update(CheckBias("value.bias", layer.value));
  if (layer.output.bias)
    status.Update(CheckShape("output.bias", *layer.output.bias, {layer.output.kernel.shape()[2]}));
  if (layer.sliding_window && *layer.sliding_window < 1) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("sliding_window: got ", *layer.sliding_window, ", want >= 1")));
  }
  return status;
}

// Several masks as one, each only as large as the ones before it make it.
class MaskBuilder {
 public:
  explicit MaskBuilder(Adapted* adapted) : adapted_(*adapted) {}

  absl::Status Add(const std::string& name, const std::optional<TensorRef>& mask, const Shape& want,
                   Shape aligned) {
    if (!mask) return absl::OkStatus();
    if (absl::Status status = CheckBools(name, *mask, want); !status.ok()) return status;
    const TensorRef one = Reshaped(*mask, std::move(aligned));
    if (!all_) {
      all_ = one;
      return absl::OkStatus();
    }
    absl::StatusOr<TensorValue> both = And(*all_, one);
    if (!both.ok())
      return absl::InvalidArgumentError(absl::StrCat(name, ": ", both.status().message()));
    all_ = adapted_.Keep(*std::move(both));
    return absl::OkStatus();
  }

  [[nodiscard]] const std::optional<TensorRef>& all() const { return all_; }

 private:
  Adapted& adapted_;
  std::optional<TensorRef> all_;
};

absl::Status AddMasks(const KerasMultiHeadAttention& layer, const KerasMultiHeadCall& call,
                      Adapted* adapted) {
  const int64_t batch = call.query.shape()[0];
  const int64_t query_count = call.query.shape()[1];
  const int64_t key_count = call.value.shape()[1];
  MaskBuilder masks(adapted);
  const Shape of_keys = {batch, 1, 1, key_count};
  absl::Status status = masks.Add("value_mask", call.value_mask, {batch, key_count}, of_keys);
  if (status.ok()) status = masks.Add("key_mask", call.key_mask, {batch, key_count}, of_keys);
  const Shape of_queries = {batch, 1, query_count, 1};
  if (status.ok())
    status = masks.Add("query_mask", call.query_mask, {batch, query_count}, of_queries);
  if (status.ok()) {
    status = masks.Add("attention_mask", call.attention_mask, {batch, query_count, key_count},
                       {batch, 1, query_count, key_count});
  }
  if (!status.ok()) return status;
  AttentionOptions& options = adapted->request.options;
  options.boolean_mask = masks.all();
  if (call.use_causal_mask) options.causal = Causal{.alignment = Causal::Alignment::kTopLeft};
  if (layer.sliding_window) {
    options.window = Window{.left = *layer.sliding_window - 1, .right = *layer.sliding_window - 1};
    // Causality brings its own alignment, the same one.
    if (!options.causal)
      options.query_positions = QueryPositions{.alignment = Causal::Alignment::kTopLeft};
  }
  if (options.boolean_mask || options.causal || options.window) {
    const FullyMaskedPolicy of_keras =
        call.return_attention_scores ? FullyMaskedPolicy::kZeros : FullyMaskedPolicy::kUniform;
    options.fully_masked = layer.fully_masked.value_or(of_keras);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Adapted> KerasRequest(const KerasMultiHeadAttention& layer,
                                     const KerasMultiHeadCall& call) {
  absl::Status status = CheckLayer(layer);
  const std::string axes = "[batch, sequence, dim]";
  if (status.ok()) status = CheckFloats("query", call.query, 3, axes);
  if (status.ok()) status = CheckFloats("value", call.value, 3, axes);
  if (status.ok() && call.key) status = CheckFloats("key", *call.key, 3, axes);
  if (!status.ok()) return status;
  Adapted adapted;
  MultiHeadAttentionRequest& request = adapted.request;
  request.query = call.query;
  request.key = call.key.value_or(call.value);
  if (call.key) request.value = call.value;  // absent it is the key
  request.projections = {.query = InputProjection(layer.query),
                         .key = InputProjection(layer.key),
                         .value = InputProjection(layer.value),
                         .output = OutputProjection(layer.output)};
  request.head_count = static_cast<int32_t>(layer.query.kernel.shape()[1]);
  const auto key_value_head_count = static_cast<int32_t>(layer.key.kernel.shape()[1]);
  if (key_value_head_count != request.head_count)
    request.key_value_head_count = key_value_head_count;
  request.options.return_weights = call.return_attention_scores;
  if (status = AddMasks(layer, call, &adapted); !status.ok()) return status;
  return adapted;
}

absl::StatusOr<KerasMultiHeadResult> CallKeras(const KerasMultiHeadAttention& layer,
                                               const KerasMultiHeadCall& call,
                                               AttentionClient* client) {
  const absl::StatusOr<Adapted> adapted = KerasRequest(layer, call);
  if (!adapted.ok()) return adapted.status();
  absl::StatusOr<AttentionResult> answer = client->MultiHeadAttention(adapted->request);
  if (!answer.ok()) return answer.status();
  return KerasMultiHeadResult{.output = std::move(answer->output),
                              .attention_scores = std::move(answer->weights),
                              .execution = std::move(answer->execution)};
}

}  // namespace attention::client
