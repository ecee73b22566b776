// The method that joins what attention over parts of the keys gave: MergeAttentionStates.

#ifndef ATTENTION_SERVER_CODEC_MERGE_DECODER_H_
#define ATTENTION_SERVER_CODEC_MERGE_DECODER_H_

#include "absl/status/status.h"
#include "attention/v1/attention_service.pb.h"
#include "server/codec/decoded_request.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {

// Like DecodeRotaryRequest, for MergeAttentionStatesRequest.
[[nodiscard]] absl::Status DecodeMergeRequest(const v1::MergeAttentionStatesRequest& request,
                                              TensorReader& reader, DecodedMerge& decoded);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_MERGE_DECODER_H_
