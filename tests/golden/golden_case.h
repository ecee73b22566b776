// The golden vectors that generate.py wrote.

#ifndef ATTENTION_TESTS_GOLDEN_GOLDEN_CASE_H_
#define ATTENTION_TESTS_GOLDEN_GOLDEN_CASE_H_

#include <string>
#include <vector>

#include "kernels/reference/reference_attention.h"
#include "tests/support/test_problem.h"

namespace attention::test {

struct GoldenCase {
  std::string name;
  TestProblem problem;                // asks for weights, and for no scores
  kernels::ReferenceResult expected;  // in float64, by numpy; statistics only of newer cases
};

// All cases of all files, with operands of this type. Inputs are exact in every type; those of the
// rotary embedding, which rounds to the type, are only for F64. Aborts if a file cannot be read.
[[nodiscard]] std::vector<GoldenCase> ReadGoldenCases(kernels::DataType type);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_GOLDEN_GOLDEN_CASE_H_
