#include <string_view>

#include "absl/strings/str_cat.h"
#include "client/messages.h"

namespace attention::client {
namespace {

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
      break;
  }
  return v1::CAUSAL_ALIGNMENT_OFFSET;
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

v1::Layout ToMessage(Layout layout) {
  switch (layout) {
    case Layout::kHeadsFirst:
      return v1::LAYOUT_HEADS_FIRST;
    case Layout::kSequenceFirst:
      return v1::LAYOUT_SEQUENCE_FIRST;
    case Layout::kPacked:
      break;
  }
  return v1::LAYOUT_PACKED;
}

// Fills messages and remembers the first tensor that contradicts itself.
class Filler {
 public:
  void Fill(const TensorRef& tensor, std::string_view field, v1::Tensor* message) {
    const absl::Status status = tensor.Validate();
    if (!status.ok() && status_.ok()) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat(absl::string_view(field.data(), field.size()), ": ", status.message()));
    }
    if (!status_.ok()) return;
    message->set_data_type(ToMessage(tensor.type()));
    message->mutable_shape()->Assign(tensor.shape().begin(), tensor.shape().end());
    message->set_raw(tensor.bytes().data(), tensor.bytes().size());
  }

  void Fill(const Projections& projections, v1::Projections* message) {
    if (projections.query) Fill(*projections.query, "projections.query", message->mutable_query());
    if (projections.key) Fill(*projections.key, "projections.key", message->mutable_key());
    if (projections.value) Fill(*projections.value, "projections.value", message->mutable_value());
    if (projections.output)
      Fill(*projections.output, "projections.output", message->mutable_output());
  }

  void Fill(const AttentionOptions& options, v1::AttentionOptions* message) {
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
    FillMasks(options, message);
    message->set_return_weights(options.return_weights);
    if (options.return_scores) {
      message->set_return_scores(*options.return_scores == ScoresKind::kRaw
                                     ? v1::SCORES_KIND_RAW
                                     : v1::SCORES_KIND_MASKED);
    }
    if (options.precision) message->set_precision(ToMessage(*options.precision));
  }

  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  void Fill(const Projection& projection, std::string_view field, v1::Projection* message) {
    Fill(projection.weight, std::string(field) + ".weight", message->mutable_weight());
    if (projection.bias)
      Fill(*projection.bias, std::string(field) + ".bias", message->mutable_bias());
  }

  void FillMasks(const AttentionOptions& options, v1::AttentionOptions* message) {
    if (options.boolean_mask)
      Fill(*options.boolean_mask, "options.boolean_mask", message->mutable_boolean_mask());
    if (options.additive_mask) {
      Fill(*options.additive_mask, "options.additive_mask", message->mutable_additive_mask());
    }
    if (options.multiplicative_mask) {
      Fill(*options.multiplicative_mask, "options.multiplicative_mask",
           message->mutable_multiplicative_mask());
    }
    if (options.causal) {
      message->mutable_causal()->set_alignment(ToMessage(options.causal->alignment));
      if (options.causal->alignment == Causal::Alignment::kOffset) {
        message->mutable_causal()->set_offset(options.causal->offset);
      }
    }
    if (options.key_lengths)
      Fill(*options.key_lengths, "options.key_lengths", message->mutable_key_lengths());
  }

  absl::Status status_;
};

bool IsEmpty(const Projections& projections) {
  return !projections.query && !projections.key && !projections.value && !projections.output;
}

// What every request has. An absent message and one without fields mean the same; the former is
// smaller.
template <typename Request, typename Message>
absl::StatusOr<Message> Finish(Filler filler, const Request& request, Message message) {
  if constexpr (requires { request.projections; }) {
    if (!IsEmpty(request.projections))
      filler.Fill(request.projections, message.mutable_projections());
  }
  filler.Fill(request.options, message.mutable_options());
  if (!filler.status().ok()) return filler.status();
  return message;
}

// Self and masked attention have the same fields.
template <typename Message, typename Request>
absl::StatusOr<Message> EmbeddingsMessage(const Request& request) {
  Filler filler;
  Message message;
  filler.Fill(request.embeddings, "embeddings", message.mutable_embeddings());
  message.set_head_count(request.head_count);
  return Finish(std::move(filler), request, std::move(message));
}

}  // namespace

absl::StatusOr<v1::SelfAttentionRequest> ToMessage(const SelfAttentionRequest& request) {
  return EmbeddingsMessage<v1::SelfAttentionRequest>(request);
}

absl::StatusOr<v1::MaskedAttentionRequest> ToMessage(const MaskedAttentionRequest& request) {
  return EmbeddingsMessage<v1::MaskedAttentionRequest>(request);
}

absl::StatusOr<v1::MultiHeadAttentionRequest> ToMessage(const MultiHeadAttentionRequest& request) {
  Filler filler;
  v1::MultiHeadAttentionRequest message;
  filler.Fill(request.query, "query", message.mutable_query());
  if (request.key) filler.Fill(*request.key, "key", message.mutable_key());
  if (request.value) filler.Fill(*request.value, "value", message.mutable_value());
  message.set_head_count(request.head_count);
  message.set_key_value_head_count(request.key_value_head_count.value_or(0));
  return Finish(std::move(filler), request, std::move(message));
}

absl::StatusOr<v1::CrossAttentionRequest> ToMessage(const CrossAttentionRequest& request) {
  Filler filler;
  v1::CrossAttentionRequest message;
  filler.Fill(request.query_embeddings, "query_embeddings", message.mutable_query_embeddings());
  filler.Fill(request.memory_embeddings, "memory_embeddings", message.mutable_memory_embeddings());
  message.set_head_count(request.head_count);
  return Finish(std::move(filler), request, std::move(message));
}

absl::StatusOr<v1::ScaledDotProductAttentionRequest> ToMessage(
    const ScaledDotProductAttentionRequest& request) {
  Filler filler;
  v1::ScaledDotProductAttentionRequest message;
  filler.Fill(request.query, "query", message.mutable_query());
  filler.Fill(request.key, "key", message.mutable_key());
  filler.Fill(request.value, "value", message.mutable_value());
  message.set_layout(ToMessage(request.layout));
  message.set_head_count(request.head_count.value_or(0));
  message.set_key_value_head_count(request.key_value_head_count.value_or(0));
  return Finish(std::move(filler), request, std::move(message));
}

}  // namespace attention::client
