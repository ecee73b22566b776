// Arrays from files and from standard input.

#ifndef ATTENTION_CLIENT_ARRAY_ARRAY_FILE_H_
#define ATTENTION_CLIENT_ARRAY_ARRAY_FILE_H_

#include <cstdint>
#include <istream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/array/array.h"

namespace attention::client {

enum class ArrayFormat : uint8_t { kSniffed, kJson, kCsv, kNpy };

// kSniffed: .npy by its first bytes, JSON if the first character is '[' or '{', else CSV. UTF-8's
// byte order mark before a text counts for nothing. INVALID_ARGUMENT for more elements than
// `max_elements`: of a .npy file by its header, before its numbers take eight bytes each.
[[nodiscard]] absl::StatusOr<Array> ParseArray(std::string_view bytes, ArrayFormat format,
                                               int64_t max_elements = kMaxElements);

// Reads `path`, or `standard_input` where the path is "-". Errors name the path and say what is
// wrong with it: NOT_FOUND if it cannot be opened, RESOURCE_EXHAUSTED if it is longer than 2 GiB,
// otherwise the parser's.
[[nodiscard]] absl::StatusOr<Array> ReadArray(const std::string& path, ArrayFormat format,
                                              std::istream& standard_input,
                                              int64_t max_elements = kMaxElements);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_ARRAY_FILE_H_
