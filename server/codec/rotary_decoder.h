// The method that turns rows by their positions: ApplyRotaryEmbedding.

#ifndef ATTENTION_SERVER_CODEC_ROTARY_DECODER_H_
#define ATTENTION_SERVER_CODEC_ROTARY_DECODER_H_

#include "absl/status/status.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/decoded_request.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {

// Fills in task and response form. Errors: kInvalidArgument for everything that the comments of
// ApplyRotaryEmbeddingRequest refuse, with the field's path. May throw std::bad_alloc.
[[nodiscard]] absl::Status DecodeRotaryRequest(const v1::ApplyRotaryEmbeddingRequest& request,
                                               TensorReader& reader,
                                               DecodedRotaryEmbedding& decoded);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_ROTARY_DECODER_H_
