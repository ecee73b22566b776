// AttentionOptions of a request.

#ifndef ATTENTION_SERVER_CODEC_OPTIONS_CODEC_H_
#define ATTENTION_SERVER_CODEC_OPTIONS_CODEC_H_

#include "absl/status/status.h"
#include "server/codec/options_decoding.h"

namespace attention::server {

// Fills in all that options say about the task's problem, options and answer. The task's type and
// the extents of its query, key and value must be there already. The precision of the task's
// options is the default: it stays unless the request names one. Spans of the problem point into
// the message or into the reader's storage. Errors, with the fields' paths on the wire:
// kInvalidArgument for what options.proto refuses; kUnimplemented for combinations that have a
// meaning but are not computed. May throw std::bad_alloc.
[[nodiscard]] absl::Status DecodeOptions(const OptionsDecoding& decoding);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_OPTIONS_CODEC_H_
