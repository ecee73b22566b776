// Computing an example on a server, and comparing what comes back.

#ifndef ATTENTION_CLIENT_EXAMPLES_EXAMPLE_RUN_H_
#define ATTENTION_CLIENT_EXAMPLES_EXAMPLE_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/attention_client.h"
#include "client/examples/example.h"

namespace attention::client {

struct ExampleAnswer {
  Array weights;  // [heads, queries, keys]
  Array scores;   // [heads, queries, keys], masked
  Array output;   // [queries, output width]
  Execution execution;
};

// Calls the example's method with tensors of `type` (a floating point type). Errors are the
// client's.
[[nodiscard]] absl::StatusOr<ExampleAnswer> RunExample(const Example& example, DataType type,
                                                       AttentionClient* client);

// The indices of the keys with the largest weights of one query, the largest first; of equal ones
// the first.
[[nodiscard]] std::vector<size_t> StrongestKeys(const ExampleAnswer& answer, size_t head,
                                                size_t query, size_t count);

struct Difference {
  std::string place;  // "output[0][2]"
  std::string expected;
  std::string actual;
};

struct Comparison {
  int64_t compared_count = 0;  // numbers and labels
  std::vector<Difference> differences;
};

// Every expected number within an absolute `tolerance` (NaN never is), every expected label equal.
[[nodiscard]] Comparison CompareExample(const Example& example, const ExampleAnswer& answer,
                                        double tolerance);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_EXAMPLES_EXAMPLE_RUN_H_
