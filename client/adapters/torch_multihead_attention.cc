#include "client/adapters/torch_multihead_attention.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/adapters/argument_checks.h"

namespace attention::client {
namespace {

TensorValue Copied(const TensorRef& tensor) {
  return *TensorValue::Create(tensor.type(), tensor.shape(), std::string(tensor.chars()));
}

bool IsSame(const TensorRef& first, const TensorRef& second) {
  return first.bytes().data() == second.bytes().data() && first.shape() == second.shape();
}

// What a mask becomes: hidden where it is 1, or what is added to the scores.
struct TorchMask {
  std::optional<TensorRef> hidden;
  std::optional<TensorRef> added;
};

// The lengths of the masks' axes.
struct MaskExtents {
  int64_t batch;
  int64_t heads;
  int64_t queries;
  int64_t keys;
};

// The mask, whose shape must be `want`, under another shape with as many elements.
absl::StatusOr<TorchMask> Canonical(const std::string& name, const TensorRef& mask,
                                    const Shape& want, Shape canonical) {
  if (absl::Status status = CheckShape(name, mask, want); !status.ok()) return status;
  const TensorRef reshaped = Reshaped(mask, std::move(canonical));
  switch (mask.type()) {
    case DataType::kBool:
      return TorchMask{.hidden = reshaped, .added = {}};
    case DataType::kInt32:
    case DataType::kInt64:
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": got ", std::string(Name(mask.type())), ", want BOOL or a float"));
    default:
      return TorchMask{.hidden = {}, .added = reshaped};
  }
}

// [N num_heads, L, S] as [N, num_heads, L, S]; [L, S] as it is.
absl::StatusOr<TorchMask> AttentionMask(const TensorRef& mask, const MaskExtents& extents) {
  const auto [batch, heads, queries, keys] = extents;
  if (mask.shape().size() == 3) {
    return Canonical("attn_mask", mask, {batch * heads, queries, keys},
                     {batch, heads, queries, keys});
  }
  return Canonical("attn_mask", mask, {queries, keys}, {queries, keys});
}

// [N, S] as [N, 1, 1, S].
absl::StatusOr<TorchMask> PaddingMask(const TensorRef& mask, const MaskExtents& extents,
                                      bool has_batch) {
  const auto [batch, heads, queries, keys] = extents;
  if (!has_batch) return Canonical("key_padding_mask", mask, {keys}, {keys});
  return Canonical("key_padding_mask", mask, {batch, keys}, {batch, 1, 1, keys});
}

// Weights with the column of the zero key: e^(0 - log_sum_exp) of each row.
absl::StatusOr<TensorValue> WithZeroColumn(const TensorValue& weights,
                                           const TensorValue& log_sum_exp) {
  Shape shape = weights.shape();
  if (log_sum_exp.shape() != Shape(shape.begin(), shape.end() - 1))
    return absl::InternalError("the server's weights and log_sum_exp do not fit together");
  const std::vector<double> logs = log_sum_exp.ToDoubles();
  const std::vector<double> numbers = weights.ToDoubles();
  const auto column_count = static_cast<std::ptrdiff_t>(shape.back());
  std::vector<double> wider;
  for (size_t row = 0; row < logs.size(); ++row) {
    const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(row) * column_count;
    wider.insert(wider.end(), first, first + column_count);
    wider.push_back(std::exp(-logs[row]));
  }
  ++shape.back();
  return TensorValue::FromDoubles(weights.type(), std::move(shape), wider);
}

// [..., heads, L, S] to [..., L, S].
absl::StatusOr<TensorValue> MeanOverHeads(const TensorValue& weights) {
  Shape shape = weights.shape();
  const size_t head_axis = shape.size() - 3;
  const auto heads = static_cast<size_t>(shape[head_axis]);
  const auto matrix_size = static_cast<size_t>(shape[head_axis + 1] * shape[head_axis + 2]);
  const std::vector<double> numbers = weights.ToDoubles();
  std::vector<double> means(heads == 0 ? 0 : numbers.size() / heads);
  for (size_t i = 0; i < means.size(); ++i) {
    const size_t first = i / matrix_size * heads * matrix_size + i % matrix_size;
    for (size_t head = 0; head < heads; ++head) means[i] += numbers[first + head * matrix_size];
    means[i] /= static_cast<double>(heads);
  }
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(head_axis));
  return TensorValue::FromDoubles(weights.type(), std::move(shape), means);
}

}  // namespace

absl::StatusOr<TorchMultiheadAttention> TorchMultiheadAttention::Create(
    const TorchMultiheadParameters& parameters) {
  TorchMultiheadAttention module;
  module.num_heads_ = parameters.num_heads;
  module.batch_first_ = parameters.batch_first;
  module.add_zero_attn_ = parameters.add_zero_attn;
  if (parameters.num_heads < 1)
    return absl::InvalidArgumentError(
        absl::StrCat("num_heads: got ", parameters.num_heads, ", want >= 1"));
  if (absl::Status status = module.TakeWeights(parameters); !status.ok()) return status;
  if (absl::Status status = module.TakeBiases(parameters); !status.ok()) return status;
  return module;
}

absl::Status TorchMultiheadAttention::TakeWeights(const TorchMultiheadParameters& parameters) {
  const TensorRef& output = parameters.out_proj_weight;
  if (output.shape().size() != 2) return WrongShape("out_proj_weight", output.shape(), "2 axes");
  const int64_t width = embed_dim_ = output.shape()[0];
  if (absl::Status status = CheckShape("out_proj_weight", output, {width, width}); !status.ok())
    return status;
  if (width % num_heads_ != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "num_heads: got ", num_heads_, ", want a divisor of ", width, ", the extent of out_proj"));
  }
  output_weight_ = Transposed(output);
  const bool separate =
      parameters.q_proj_weight && parameters.k_proj_weight && parameters.v_proj_weight;
  const bool any = parameters.q_proj_weight || parameters.k_proj_weight || parameters.v_proj_weight;
  if (parameters.in_proj_weight.has_value() == any || separate != any) {
    return absl::InvalidArgumentError(
        "want either in_proj_weight or q_proj_weight, k_proj_weight and v_proj_weight");
  }
  if (parameters.in_proj_weight) {
    const TensorRef& packed = *parameters.in_proj_weight;
    if (absl::Status status = CheckShape("in_proj_weight", packed, {3 * width, width});
        !status.ok()) {
      return status;
    }
    query_weight_ = Transposed(Slice(packed, 0, width));
    key_weight_ = Transposed(Slice(packed, width, width));
    value_weight_ = Transposed(Slice(packed, 2 * width, width));
    return absl::OkStatus();
  }
  const auto take = [&](const std::string& name, const TensorRef& weight, TensorValue* taken) {
    if (weight.shape().size() != 2) return WrongShape(name, weight.shape(), "2 axes");
    const absl::Status status = CheckShape(name, weight, {width, weight.shape()[1]});
    if (status.ok()) *taken = Transposed(weight);
    return status;
  };
  absl::Status status = take("q_proj_weight", *parameters.q_proj_weight, &query_weight_);
  if (status.ok()) status = take("k_proj_weight", *parameters.k_proj_weight, &key_weight_);
  if (status.ok()) status = take("v_proj_weight", *parameters.v_proj_weight, &value_weight_);
  return status;
}

absl::Status TorchMultiheadAttention::TakeBiases(const TorchMultiheadParameters& parameters) {
  if (parameters.in_proj_bias) {
    const absl::Status status =
        CheckShape("in_proj_bias", *parameters.in_proj_bias, {3 * embed_dim_});
    if (!status.ok()) return status;
    in_proj_bias_ = Copied(*parameters.in_proj_bias);
  }
  if (parameters.out_proj_bias) {
    const absl::Status status =
        CheckShape("out_proj_bias", *parameters.out_proj_bias, {embed_dim_});
    if (!status.ok()) return status;
    output_bias_ = Copied(*parameters.out_proj_bias);
  }
  if (parameters.bias_k.has_value() != parameters.bias_v.has_value())
    return absl::InvalidArgumentError("bias_k and bias_v: got one of them, want both or neither");
  if (parameters.bias_k) {
    const Shape shape = {1, 1, embed_dim_};
    absl::Status status = CheckShape("bias_k", *parameters.bias_k, shape);
    if (status.ok()) status = CheckShape("bias_v", *parameters.bias_v, shape);
    if (!status.ok()) return status;
    appended_key_ = Copied(Reshaped(*parameters.bias_k, {embed_dim_}));
    appended_value_ = Copied(Reshaped(*parameters.bias_v, {embed_dim_}));
  }
  return absl::OkStatus();
}

absl::StatusOr<AdaptedRequest<MultiHeadAttentionRequest>> TorchMultiheadAttention::Request(
    const TorchMultiheadCall& call) const {
  const size_t axis_count = call.query.shape().size();
  if (axis_count != 2 && axis_count != 3)
    return WrongShape("query", call.query.shape(), "2 or 3 axes");
  AdaptedRequest<MultiHeadAttentionRequest> adapted;
  absl::Status status;
  const auto take = [&](const std::string& name, const TensorRef& tensor) -> TensorRef {
    absl::Status valid =
        CheckFloats(name, tensor, axis_count, absl::StrCat(axis_count, " axes, as the query"));
    if (!valid.ok()) {
      status.Update(valid);
      return {};
    }
    return axis_count == 3 && !batch_first_ ? adapted.Keep(Transposed(tensor)) : tensor;
  };
  MultiHeadAttentionRequest& request = adapted.request;
  request.query = take("query", call.query);
  // The service takes an absent key as the query and an absent value as the key: bytes saved.
  if (!IsSame(call.key, call.query)) request.key = take("key", call.key);
  if (!IsSame(call.value, call.key)) request.value = take("value", call.value);
  if (!status.ok()) return status;
  const auto bias = [&](int64_t index) -> std::optional<TensorRef> {
    if (!in_proj_bias_) return std::nullopt;
    return Slice(in_proj_bias_->ref(), index * embed_dim_, embed_dim_);
  };
  request.projections.query = {.weight = query_weight_.ref(), .bias = bias(0)};
  request.projections.key = {.weight = key_weight_.ref(), .bias = bias(1)};
  request.projections.value = {.weight = value_weight_.ref(), .bias = bias(2)};
  request.projections.output = Projection{.weight = output_weight_.ref(), .bias = {}};
  if (output_bias_) request.projections.output->bias = output_bias_->ref();
  if (appended_key_) {
    request.projections.appended_key = appended_key_->ref();
    request.projections.appended_value = appended_value_->ref();
  }
  request.head_count = num_heads_;
  request.options.return_weights = call.need_weights;
  if (add_zero_attn_) {
    const std::vector<double> zeros(static_cast<size_t>(num_heads_));
    request.options.sinks =
        adapted.Keep(*TensorValue::FromDoubles(DataType::kF32, {num_heads_}, zeros));
    request.options.return_log_sum_exp = call.need_weights;
  }
  status = AddMasks(call, &adapted);
  if (!status.ok()) return status;
  return adapted;
}

absl::Status TorchMultiheadAttention::AddMasks(
    const TorchMultiheadCall& call, AdaptedRequest<MultiHeadAttentionRequest>* adapted) const {
  AttentionOptions& options = adapted->request.options;
  if (call.is_causal && !call.attn_mask)
    return absl::InvalidArgumentError("is_causal: a hint that needs attn_mask");
  const bool takes_hint =
      call.is_causal && !call.key_padding_mask && !call.need_weights && !appended_key_;
  if (takes_hint) options.causal = Causal{.alignment = Causal::Alignment::kTopLeft};
  const MultiHeadAttentionRequest& request = adapted->request;
  const Shape& query_shape = request.query.shape();
  const Shape& key_shape = request.key ? request.key->shape() : query_shape;
  const bool has_batch = query_shape.size() == 3;
  const MaskExtents extents = {.batch = has_batch ? query_shape[0] : 1,
                               .heads = num_heads_,
                               .queries = query_shape[query_shape.size() - 2],
                               .keys = key_shape[key_shape.size() - 2]};
  TorchMask attention;
  TorchMask padding;
  if (call.attn_mask && !takes_hint) {
    absl::StatusOr<TorchMask> mask = AttentionMask(*call.attn_mask, extents);
    if (!mask.ok()) return mask.status();
    attention = *std::move(mask);
  }
  if (call.key_padding_mask) {
    absl::StatusOr<TorchMask> mask = PaddingMask(*call.key_padding_mask, extents, has_batch);
    if (!mask.ok()) return mask.status();
    padding = *std::move(mask);
  }
  if (appended_key_) {
    for (std::optional<TensorRef>* mask :
         {&attention.hidden, &attention.added, &padding.hidden, &padding.added}) {
      if (*mask) *mask = adapted->Keep(WithOneMoreColumn(**mask));
    }
  }
  // There is one field of each kind: two masks of one kind meet here.
  if (attention.hidden && padding.hidden) {
    padding.added = adapted->Keep(InfiniteWhere(*padding.hidden, adapted->request.query.type()));
    padding.hidden.reset();
  }
  const std::optional<TensorRef> hidden = attention.hidden ? attention.hidden : padding.hidden;
  if (hidden) options.boolean_mask = adapted->Keep(Inverted(*hidden));
  if (attention.added && padding.added) {
    absl::StatusOr<TensorValue> sum = Sum(*attention.added, *padding.added);
    if (!sum.ok())
      return absl::InvalidArgumentError(
          absl::StrCat("attn_mask and key_padding_mask: ", sum.status().message()));
    options.additive_mask = adapted->Keep(*std::move(sum));
  } else {
    options.additive_mask = attention.added ? attention.added : padding.added;
  }
  // With the zero key no query is fully masked.
  if (call.need_weights && !add_zero_attn_ && (options.boolean_mask || options.additive_mask))
    options.fully_masked = FullyMaskedPolicy::kNan;
  return absl::OkStatus();
}

absl::StatusOr<TorchMultiheadResult> TorchMultiheadAttention::Result(const TorchMultiheadCall& call,
                                                                     AttentionResult answer) const {
  TorchMultiheadResult result;
  result.execution = std::move(answer.execution);
  const bool exchange = call.query.shape().size() == 3 && !batch_first_;
  if (exchange && answer.output.shape().size() < 2)
    return absl::InternalError("the server's output has too few axes");
  result.output = exchange ? Transposed(answer.output.ref()) : std::move(answer.output);
  if (!call.need_weights) return result;
  if (!answer.weights || answer.weights->shape().size() < 3)
    return absl::InternalError("the server answered without the weights it was asked for");
  absl::StatusOr<TensorValue> weights = *std::move(answer.weights);
  if (add_zero_attn_) {
    if (!answer.log_sum_exp)
      return absl::InternalError("the server answered without the log_sum_exp it was asked for");
    weights = WithZeroColumn(*weights, *answer.log_sum_exp);
  }
  if (weights.ok() && call.average_attn_weights) weights = MeanOverHeads(*weights);
  if (!weights.ok()) return weights.status();
  result.weights = *std::move(weights);
  return result;
}

absl::StatusOr<TorchMultiheadResult> TorchMultiheadAttention::Forward(
    const TorchMultiheadCall& call, AttentionClient* client) const {
  const absl::StatusOr<AdaptedRequest<MultiHeadAttentionRequest>> adapted = Request(call);
  if (!adapted.ok()) return adapted.status();
  absl::StatusOr<AttentionResult> answer = client->MultiHeadAttention(adapted->request);
  if (!answer.ok()) return answer.status();
  return Result(call, *std::move(answer));
}

}  // namespace attention::client
