#include "client/message_filler.h"

#include <limits>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"

namespace attention::client {
namespace {

// Protobuf serializes no message over 2^31 - 1 bytes, and gRPC ends the process where it cannot.
// The margin is for what surrounds the tensors.
constexpr size_t kMaxTensorBytes = std::numeric_limits<int32_t>::max() - 64 * 1024;

// Copying less twice takes a few microseconds.
constexpr size_t kLargeTensorBytes = 64 * 1024;

v1::Normalization ToMessage(Normalization normalization) {
  switch (normalization) {
    case Normalization::kSoftmaxOverKeys:
      return v1::NORMALIZATION_SOFTMAX_OVER_KEYS;
    case Normalization::kSoftmaxOverQueries:
      return v1::NORMALIZATION_SOFTMAX_OVER_QUERIES;
    case Normalization::kNone:
      break;
  }
  return v1::NORMALIZATION_NONE;
}

v1::CausalAlignment ToMessage(Causal::Alignment alignment) {
  switch (alignment) {
    case Causal::Alignment::kEqualCounts:
      return v1::CAUSAL_ALIGNMENT_UNSPECIFIED;
    case Causal::Alignment::kTopLeft:
      return v1::CAUSAL_ALIGNMENT_TOP_LEFT;
    case Causal::Alignment::kBottomRight:
      return v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT;
    case Causal::Alignment::kOffset:
      return v1::CAUSAL_ALIGNMENT_OFFSET;
    case Causal::Alignment::kKeyLengths:
      break;
  }
  return v1::CAUSAL_ALIGNMENT_KEY_LENGTHS;
}

v1::Precision ToMessage(Precision precision) {
  switch (precision) {
    case Precision::kF32:
      return v1::PRECISION_F32;
    case Precision::kBF16X6:
      return v1::PRECISION_BF16_X6;
    case Precision::kBF16X3:
      return v1::PRECISION_BF16_X3;
    case Precision::kBF16:
      return v1::PRECISION_BF16;
    case Precision::kF32GradeFastest:
      break;
  }
  return v1::PRECISION_F32_GRADE_FASTEST;
}

v1::ScoresKind ToMessage(ScoresKind kind) {
  switch (kind) {
    case ScoresKind::kRaw:
      return v1::SCORES_KIND_RAW;
    case ScoresKind::kCapped:
      return v1::SCORES_KIND_CAPPED;
    case ScoresKind::kMasked:
      break;
  }
  return v1::SCORES_KIND_MASKED;
}

v1::FullyMaskedPolicy ToMessage(FullyMaskedPolicy policy) {
  switch (policy) {
    case FullyMaskedPolicy::kZeros:
      return v1::FULLY_MASKED_POLICY_ZEROS;
    case FullyMaskedPolicy::kNan:
      return v1::FULLY_MASKED_POLICY_NAN;
    case FullyMaskedPolicy::kUniform:
      break;
  }
  return v1::FULLY_MASKED_POLICY_UNIFORM;
}

// Causal and QueryPositions have the same fields.
template <typename Positions, typename Message>
void FillPositions(const Positions& positions, Message* message) {
  message->set_alignment(ToMessage(positions.alignment));
  if (positions.alignment == Causal::Alignment::kOffset) message->set_offset(positions.offset);
}

}  // namespace

v1::DataType ToMessage(DataType type) {
  switch (type) {
    case DataType::kF32:
      return v1::DATA_TYPE_F32;
    case DataType::kF16:
      return v1::DATA_TYPE_F16;
    case DataType::kBF16:
      return v1::DATA_TYPE_BF16;
    case DataType::kF64:
      return v1::DATA_TYPE_F64;
    case DataType::kBool:
      return v1::DATA_TYPE_BOOL;
    case DataType::kInt32:
      return v1::DATA_TYPE_INT32;
    case DataType::kInt64:
      break;
  }
  return v1::DATA_TYPE_INT64;
}

void MessageFiller::Fill(const TensorRef& tensor, std::string_view field, v1::Tensor* message) {
  if (!status_.ok()) return;
  const absl::string_view name(field.data(), field.size());
  if (const absl::Status status = tensor.Validate(); !status.ok()) {
    status_ = absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
    return;
  }
  if (tensor.bytes().size() > kMaxTensorBytes - tensor_bytes_) {
    status_ = absl::ResourceExhaustedError(
        absl::StrCat(name, ": got ", tensor.bytes().size(), " bytes after ", tensor_bytes_,
                     " of other tensors, want <= ", kMaxTensorBytes, " in one request"));
    return;
  }
  tensor_bytes_ += tensor.bytes().size();
  message->set_data_type(ToMessage(tensor.type()));
  message->mutable_shape()->Assign(tensor.shape().begin(), tensor.shape().end());
  const bool repeated = field.find('[') != std::string_view::npos;
  if (large_ != nullptr && !repeated && tensor.bytes().size() >= kLargeTensorBytes) {
    large_->push_back({std::string(field), tensor.bytes()});
  } else {
    message->set_raw(tensor.bytes().data(), tensor.bytes().size());
  }
}

void MessageFiller::Fill(const AttentionOptions& options, v1::AttentionOptions* message) {
  FillScore(options, message);
  FillMasks(options, message);
  FillVisibility(options, message);
  FillBiases(options, message);
  FillHeads(options, message);
  if (options.precision) message->set_precision(ToMessage(*options.precision));
  if (options.softmax_type) message->set_softmax_type(ToMessage(*options.softmax_type));
  message->set_return_weights(options.return_weights);
  if (options.return_scores) message->set_return_scores(ToMessage(*options.return_scores));
  message->set_return_log_sum_exp(options.return_log_sum_exp);
  message->set_return_top_weights(options.return_top_weights);
  message->set_return_entropy(options.return_entropy);
  message->set_return_key_mass(options.return_key_mass);
  message->set_return_maximum_weight(options.return_maximum_weight);
}

void MessageFiller::FillScore(const AttentionOptions& options, v1::AttentionOptions* message) {
  if (options.scale) message->set_scale(*options.scale);
  if (const auto* general = std::get_if<GeneralScore>(&options.score)) {
    Fill(general->weight, "options.general_score.weight",
         message->mutable_general_score()->mutable_weight());
  } else if (const auto* additive = std::get_if<AdditiveScore>(&options.score)) {
    v1::AdditiveScore* score = message->mutable_additive_score();
    Fill(additive->query_weight, "options.additive_score.query_weight",
         score->mutable_query_weight());
    Fill(additive->key_weight, "options.additive_score.key_weight", score->mutable_key_weight());
    Fill(additive->vector, "options.additive_score.vector", score->mutable_vector());
  }
  message->set_normalization(ToMessage(options.normalization));
  if (options.softcap) message->set_softcap(*options.softcap);
}

void MessageFiller::FillMasks(const AttentionOptions& options, v1::AttentionOptions* message) {
  if (options.boolean_mask)
    Fill(*options.boolean_mask, "options.boolean_mask", message->mutable_boolean_mask());
  if (options.additive_mask)
    Fill(*options.additive_mask, "options.additive_mask", message->mutable_additive_mask());
  if (options.multiplicative_mask) {
    Fill(*options.multiplicative_mask, "options.multiplicative_mask",
         message->mutable_multiplicative_mask());
  }
  message->set_short_masks(options.short_masks);
  if (options.block_mask) {
    v1::BlockMask* mask = message->mutable_block_mask();
    Fill(options.block_mask->mask, "options.block_mask.mask", mask->mutable_mask());
    mask->set_query_block_size(options.block_mask->query_block_size);
    mask->set_key_block_size(options.block_mask->key_block_size);
  }
}

void MessageFiller::FillVisibility(const AttentionOptions& options, v1::AttentionOptions* message) {
  if (options.causal) FillPositions(*options.causal, message->mutable_causal());
  if (options.prefix_lengths)
    Fill(*options.prefix_lengths, "options.prefix_lengths", message->mutable_prefix_lengths());
  if (options.window) {
    v1::Window* window = message->mutable_window();
    if (options.window->left) window->set_left(*options.window->left);
    if (options.window->right) window->set_right(*options.window->right);
  }
  if (options.key_lengths)
    Fill(*options.key_lengths, "options.key_lengths", message->mutable_key_lengths());
  if (options.query_segments)
    Fill(*options.query_segments, "options.query_segments", message->mutable_query_segments());
  if (options.key_segments)
    Fill(*options.key_segments, "options.key_segments", message->mutable_key_segments());
  if (options.fully_masked != FullyMaskedPolicy::kZeros)
    message->set_fully_masked(ToMessage(options.fully_masked));
}

void MessageFiller::FillBiases(const AttentionOptions& options, v1::AttentionOptions* message) {
  if (options.query_positions)
    FillPositions(*options.query_positions, message->mutable_query_positions());
  if (options.alibi) {
    v1::Alibi* alibi = message->mutable_alibi();
    Fill(options.alibi->slopes, "options.alibi.slopes", alibi->mutable_slopes());
    alibi->set_symmetric(options.alibi->symmetric);
  }
  if (options.relative_position_bias) {
    v1::RelativePositionBias* bias = message->mutable_relative_position_bias();
    Fill(options.relative_position_bias->table, "options.relative_position_bias.table",
         bias->mutable_table());
    bias->set_maximum_distance(options.relative_position_bias->maximum_distance);
    bias->set_bidirectional(options.relative_position_bias->bidirectional);
  }
  if (options.rotary_embedding) {
    const RotaryEmbedding& given = *options.rotary_embedding;
    v1::RotaryEmbedding* rotary = message->mutable_rotary_embedding();
    if (given.base) rotary->set_base(*given.base);
    if (given.position_scale) rotary->set_position_scale(*given.position_scale);
    rotary->set_width(given.width.value_or(0));
    rotary->set_interleaved(given.interleaved);
  }
}

void MessageFiller::FillHeads(const AttentionOptions& options, v1::AttentionOptions* message) {
  if (options.sinks) Fill(*options.sinks, "options.sinks", message->mutable_sinks());
  if (options.head_mask)
    Fill(*options.head_mask, "options.head_mask", message->mutable_head_mask());
  if (options.temperature)
    Fill(*options.temperature, "options.temperature", message->mutable_temperature());
}

}  // namespace attention::client
