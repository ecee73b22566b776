// The score of a query and a key: scale, softcap and the parameters of scores that are not the dot
// product.

#ifndef ATTENTION_SERVER_CODEC_SCORE_CODEC_H_
#define ATTENTION_SERVER_CODEC_SCORE_CODEC_H_

#include "absl/status/status.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// Fills in scale, softcap, score and its parameters. Errors: kInvalidArgument for what
// options.proto refuses.
[[nodiscard]] absl::Status DecodeScore(const OptionsDecoding& decoding);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_SCORE_CODEC_H_
