// Where exceptions of libraries end.

#ifndef ATTENTION_SERVER_CORE_GUARDED_H_
#define ATTENTION_SERVER_CORE_GUARDED_H_

#include <exception>
#include <new>

#include "absl/status/status.h"

namespace attention::server {

// Calls `work` and returns what it returns, a status or a StatusOr. An exception that leaves it
// becomes kResourceExhausted without a text (std::bad_alloc) or kInternal with the exception's
// text. Never throws.
template <class Work>
[[nodiscard]] auto Guarded(const Work& work) noexcept -> decltype(work()) {
  try {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& exception) {
      return absl::InternalError(exception.what());
    }
  } catch (const std::bad_alloc&) {
    // Made without memory.
    return absl::Status(absl::StatusCode::kResourceExhausted, "");
  }
}

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_GUARDED_H_
