// From the flags of attention's options to the options themselves.

#ifndef ATTENTION_CLIENT_ATTN_LOAD_OPTIONS_H_
#define ATTENTION_CLIENT_ATTN_LOAD_OPTIONS_H_

#include "client/attention_options.h"
#include "client/attn/attention_flags.h"
#include "client/attn/tensor_files.h"

namespace attention::client {

// Reads the files that the flags name; problems are in files->status(). The options borrow from
// `files`.
[[nodiscard]] AttentionOptions LoadOptions(const AttentionFlags& flags, TensorFiles* files);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_LOAD_OPTIONS_H_
