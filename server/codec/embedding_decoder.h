// The methods that take embeddings: SelfAttention, MaskedAttention, MultiHeadAttention and
// CrossAttention.

#ifndef ATTENTION_SERVER_CODEC_EMBEDDING_DECODER_H_
#define ATTENTION_SERVER_CODEC_EMBEDDING_DECODER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/decoded_request.h"
#include "server/codec/tensor_codec.h"
#include "server/core/layer.h"

namespace attention::server {

// Embeddings of a request: [batch?, rows, width].
struct Embeddings {
  WireTensor tensor;
  absl::string_view path;
  bool has_batch = false;
  int64_t batch = 1;
  int64_t rows = 0;
  int64_t width = 0;
};

// What the embedding methods have in common; each names the fields that fill it.
struct EmbeddingRequest {
  Embeddings query, key, value;
  const v1::Projections* projections = nullptr;  // null: absent
  int32_t head_count = 0;                        // 0 means 1, or the layer's
  int32_t key_value_head_count = 0;              // 0 means head_count, or the layer's
  const v1::AttentionOptions& options;
  const std::string& layer;          // empty: none
  const LayerSet* layers = nullptr;  // that it can name
};

// Reads a field that must be present and hold embeddings.
[[nodiscard]] absl::StatusOr<Embeddings> ReadEmbeddings(bool present, const v1::Tensor& tensor,
                                                        absl::string_view path,
                                                        TensorReader& reader);

// Checks everything that tensor.proto, options.proto and attention_service.proto ask for, and fills
// in `task` and `response_form` of `decoded`, whose storage `reader` uses. Errors:
// kInvalidArgument, kNotFound. May throw std::bad_alloc.
[[nodiscard]] absl::Status DecodeEmbeddingRequest(const EmbeddingRequest& request,
                                                  TensorReader& reader, DecodedRequest& decoded);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_EMBEDDING_DECODER_H_
