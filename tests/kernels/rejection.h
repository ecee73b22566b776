// What Validate and Attend refuse: a valid call, one thing in it that is broken, and what the error
// says.

#ifndef ATTENTION_TESTS_KERNELS_REJECTION_H_
#define ATTENTION_TESTS_KERNELS_REJECTION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "kernels/attend.h"
#include "tests/support/problem_recipe.h"

namespace attention::test {

// What a test breaks.
struct Call {
  kernels::AttentionProblem problem;
  kernels::AttentionOptions options;
  kernels::AttentionOutputs outputs;
};

// A valid problem with every operand that the score has, so that each can be broken.
[[nodiscard]] ProblemRecipe FullRecipe();

// One thing that is wrong, and what the message must say: the field, what was got, what was wanted.
struct Rejection {
  const char* name;
  std::function<void(Call&)> break_call;
  std::vector<std::string> message;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

// Both refuse with the same error, and Attend writes nothing. Failures are GoogleTest's.
void ExpectRejected(const ProblemRecipe& recipe, const Rejection& rejection);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_KERNELS_REJECTION_H_
