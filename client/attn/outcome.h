// What a command came to.

#ifndef ATTENTION_CLIENT_ATTN_OUTCOME_H_
#define ATTENTION_CLIENT_ATTN_OUTCOME_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace attention::client {

// Scripts depend on these numbers.
enum class ExitCode : uint8_t {
  kOk = 0,
  kServer = 1,   // the server could not be reached, failed, refused the request as invalid, or
                 // answered not as it should; or memory ran out, or a result cannot be written
  kUsage = 2,    // a wrong command line, a file that cannot be opened or read, shapes that cannot
                 // be right
  kExample = 3,  // a worked example came out differently
};

// `sentence` goes to standard error, unless the code is kOk.
struct Outcome {
  ExitCode code = ExitCode::kOk;
  std::string sentence;
};

using Command = std::function<Outcome()>;

[[nodiscard]] inline Outcome UsageError(const absl::Status& status) {
  return {.code = ExitCode::kUsage, .sentence = std::string(status.message())};
}

// "UNAVAILABLE: ..."; the code's name tells what to do about it.
[[nodiscard]] inline Outcome ServerError(const absl::Status& status) {
  return {.code = ExitCode::kServer,
          .sentence = status.ToString(absl::StatusToStringMode::kDefault)};
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_OUTCOME_H_
