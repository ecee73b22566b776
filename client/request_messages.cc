#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/message_filler.h"
#include "client/messages.h"

namespace attention::client {
namespace {

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

void Fill(const Projection& projection, std::string_view field, MessageFiller* filler,
          v1::Projection* message) {
  const std::string path = "projections." + std::string(field);
  filler->Fill(projection.weight, path + ".weight", message->mutable_weight());
  if (projection.bias) filler->Fill(*projection.bias, path + ".bias", message->mutable_bias());
}

void Fill(const Projections& projections, MessageFiller* filler, v1::Projections* message) {
  if (projections.query) Fill(*projections.query, "query", filler, message->mutable_query());
  if (projections.key) Fill(*projections.key, "key", filler, message->mutable_key());
  if (projections.value) Fill(*projections.value, "value", filler, message->mutable_value());
  if (projections.output) Fill(*projections.output, "output", filler, message->mutable_output());
  if (projections.appended_key) {
    filler->Fill(*projections.appended_key, "projections.appended_key",
                 message->mutable_appended_key());
  }
  if (projections.appended_value) {
    filler->Fill(*projections.appended_value, "projections.appended_value",
                 message->mutable_appended_value());
  }
}

bool IsEmpty(const Projections& projections) {
  return !projections.query && !projections.key && !projections.value && !projections.output &&
         !projections.appended_key && !projections.appended_value;
}

// What every request has. An absent message and one without fields mean the same; the former is
// smaller.
template <typename Request, typename Message>
absl::StatusOr<Message> Finish(MessageFiller filler, const Request& request, Message message) {
  if constexpr (requires { request.projections; }) {
    if (!IsEmpty(request.projections))
      Fill(request.projections, &filler, message.mutable_projections());
  }
  if constexpr (requires { request.layer; }) message.set_layer(request.layer);
  if constexpr (requires { request.options; })
    filler.Fill(request.options, message.mutable_options());
  if (!filler.status().ok()) return filler.status();
  return message;
}

// Self and masked attention have the same fields.
template <typename Message, typename Request>
absl::StatusOr<Message> EmbeddingsMessage(const Request& request, std::vector<LargeTensor>* large) {
  MessageFiller filler(large);
  Message message;
  filler.Fill(request.embeddings, "embeddings", message.mutable_embeddings());
  message.set_head_count(request.head_count.value_or(0));
  return Finish(std::move(filler), request, std::move(message));
}

}  // namespace

absl::StatusOr<v1::SelfAttentionRequest> ToMessage(const SelfAttentionRequest& request,
                                                   std::vector<LargeTensor>* large) {
  return EmbeddingsMessage<v1::SelfAttentionRequest>(request, large);
}

absl::StatusOr<v1::MaskedAttentionRequest> ToMessage(const MaskedAttentionRequest& request,
                                                     std::vector<LargeTensor>* large) {
  return EmbeddingsMessage<v1::MaskedAttentionRequest>(request, large);
}

absl::StatusOr<v1::MultiHeadAttentionRequest> ToMessage(const MultiHeadAttentionRequest& request,
                                                        std::vector<LargeTensor>* large) {
  MessageFiller filler(large);
  v1::MultiHeadAttentionRequest message;
  filler.Fill(request.query, "query", message.mutable_query());
  if (request.key) filler.Fill(*request.key, "key", message.mutable_key());
  if (request.value) filler.Fill(*request.value, "value", message.mutable_value());
  message.set_head_count(request.head_count.value_or(0));
  message.set_key_value_head_count(request.key_value_head_count.value_or(0));
  return Finish(std::move(filler), request, std::move(message));
}

absl::StatusOr<v1::CrossAttentionRequest> ToMessage(const CrossAttentionRequest& request,
                                                    std::vector<LargeTensor>* large) {
  MessageFiller filler(large);
  v1::CrossAttentionRequest message;
  filler.Fill(request.query_embeddings, "query_embeddings", message.mutable_query_embeddings());
  filler.Fill(request.memory_embeddings, "memory_embeddings", message.mutable_memory_embeddings());
  message.set_head_count(request.head_count.value_or(0));
  return Finish(std::move(filler), request, std::move(message));
}

absl::StatusOr<v1::ScaledDotProductAttentionRequest> ToMessage(
    const ScaledDotProductAttentionRequest& request, std::vector<LargeTensor>* large) {
  MessageFiller filler(large);
  v1::ScaledDotProductAttentionRequest message;
  filler.Fill(request.query, "query", message.mutable_query());
  filler.Fill(request.key, "key", message.mutable_key());
  filler.Fill(request.value, "value", message.mutable_value());
  message.set_layout(ToMessage(request.layout));
  message.set_head_count(request.head_count.value_or(0));
  message.set_key_value_head_count(request.key_value_head_count.value_or(0));
  if (request.past_key) filler.Fill(*request.past_key, "past_key", message.mutable_past_key());
  if (request.past_value)
    filler.Fill(*request.past_value, "past_value", message.mutable_past_value());
  message.set_return_present(request.return_present);
  if (request.query_starts)
    filler.Fill(*request.query_starts, "query_starts", message.mutable_query_starts());
  if (request.key_starts)
    filler.Fill(*request.key_starts, "key_starts", message.mutable_key_starts());
  return Finish(std::move(filler), request, std::move(message));
}

absl::StatusOr<v1::ApplyRotaryEmbeddingRequest> ToMessage(
    const ApplyRotaryEmbeddingRequest& request, std::vector<LargeTensor>* large) {
  MessageFiller filler(large);
  v1::ApplyRotaryEmbeddingRequest message;
  filler.Fill(request.input, "input", message.mutable_input());
  message.set_head_count(request.head_count.value_or(0));
  filler.Fill(request.cos, "cos", message.mutable_cos());
  filler.Fill(request.sin, "sin", message.mutable_sin());
  if (request.position_ids)
    filler.Fill(*request.position_ids, "position_ids", message.mutable_position_ids());
  message.set_rotary_width(request.rotary_width.value_or(0));
  message.set_interleaved(request.interleaved);
  return Finish(std::move(filler), request, std::move(message));
}

absl::StatusOr<v1::MergeAttentionStatesRequest> ToMessage(
    const MergeAttentionStatesRequest& request, std::vector<LargeTensor>* large) {
  MessageFiller filler(large);
  v1::MergeAttentionStatesRequest message;
  for (const AttentionState& state : request.states) {
    const std::string path = absl::StrCat("states[", message.states_size(), "]");
    v1::AttentionState* added = message.add_states();
    filler.Fill(state.output, path + ".output", added->mutable_output());
    filler.Fill(state.log_sum_exp, path + ".log_sum_exp", added->mutable_log_sum_exp());
  }
  return Finish(std::move(filler), request, std::move(message));
}

}  // namespace attention::client
