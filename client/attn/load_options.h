// From the flags of attention's options to the options themselves.

#ifndef ATTENTION_CLIENT_ATTN_LOAD_OPTIONS_H_
#define ATTENTION_CLIENT_ATTN_LOAD_OPTIONS_H_

#include <cstdint>

#include "client/attention_options.h"
#include "client/attn/attention_flags.h"
#include "client/attn/tensor_files.h"

namespace attention::client {

// Reads the files that the flags name; problems are in files->status(). The options borrow from
// `files`. One number where each of `head_count` query heads has one is meant for all of them.
[[nodiscard]] AttentionOptions LoadOptions(const AttentionFlags& flags, int64_t head_count,
                                           TensorFiles* files);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_LOAD_OPTIONS_H_
