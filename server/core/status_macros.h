// Early returns for functions that return absl::Status or absl::StatusOr. For .cc files only.

#ifndef ATTENTION_SERVER_CORE_STATUS_MACROS_H_
#define ATTENTION_SERVER_CORE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expression` from the surrounding function unless it is OK.
#define ATTENTION_RETURN_IF_ERROR(expression)                 \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

// Declares or assigns `target` from the StatusOr `expression`, or returns its status.
#define ATTENTION_ASSIGN_OR_RETURN(target, expression) \
  ATTENTION_ASSIGN_OR_RETURN_(ATTENTION_JOIN_(result_, __LINE__), target, expression)
#define ATTENTION_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                                   \
  if (!result.ok()) return std::move(result).status();          \
  target = *std::move(result)
#define ATTENTION_JOIN_(left, right) ATTENTION_JOIN_TWICE_(left, right)
#define ATTENTION_JOIN_TWICE_(left, right) left##right

#endif  // ATTENTION_SERVER_CORE_STATUS_MACROS_H_
