// The methods that take ready queries, keys and values: ScaledDotProductAttention, DecodeAttention.

#ifndef ATTENTION_SERVER_CODEC_READY_DECODER_H_
#define ATTENTION_SERVER_CODEC_READY_DECODER_H_

#include "absl/status/status.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/decoded_request.h"
#include "server/codec/stream_codec.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {

// Like DecodeEmbeddingRequest, for every layout. With a stream, as DecodeAttention takes it: the
// task's keys and values have no memory yet.
[[nodiscard]] absl::Status DecodeReadyRequest(const v1::ScaledDotProductAttentionRequest& request,
                                              TensorReader& reader, DecodedRequest& decoded,
                                              StreamDecoding* stream = nullptr);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_READY_DECODER_H_
