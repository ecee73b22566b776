// Whole files in memory of our own.

#ifndef ATTENTION_SERVER_LAYERS_READ_FILE_H_
#define ATTENTION_SERVER_LAYERS_READ_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "server/core/buffer.h"

namespace attention::server {

// The bytes of a regular file. Read, not mapped: a file that is truncated while it is mapped ends
// the process. Errors: kInvalidArgument, without the path. May throw std::bad_alloc.
[[nodiscard]] absl::StatusOr<Buffer> ReadFile(const std::string& path, int64_t max_bytes);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_READ_FILE_H_
