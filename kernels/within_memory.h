// Where std::bad_alloc and std::length_error end.

#ifndef ATTENTION_KERNELS_WITHIN_MEMORY_H_
#define ATTENTION_KERNELS_WITHIN_MEMORY_H_

#include <new>
#include <stdexcept>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace attention::kernels {

// Calls `work` and returns what it returns, a StatusOr; kResourceExhausted "no memory for <what>"
// if it throws std::bad_alloc, or the std::length_error of a vector that no memory could hold.
template <class Work>
[[nodiscard]] auto WithinMemory(absl::string_view what, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return absl::ResourceExhaustedError(absl::StrCat("no memory for ", what));
}

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_WITHIN_MEMORY_H_
