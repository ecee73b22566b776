// One worked example: an input, the call it goes to, and the numbers that must come back. README.md
// has the schema.

#ifndef ATTENTION_CLIENT_EXAMPLES_EXAMPLE_H_
#define ATTENTION_CLIENT_EXAMPLES_EXAMPLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/array/array.h"
#include "client/method.h"
#include "client/requests.h"

namespace attention::client {

struct Example {
  struct AdditiveScore {
    Array query_weight;
    Array key_weight;
    Array vector;
  };

  struct Expected {
    std::optional<Array> weights;
    std::optional<Array> scores;
    std::optional<Array> output;
    std::vector<std::string> strongest;          // empty, or one for each query
    std::vector<std::vector<std::string>> top3;  // empty, or one for each query
  };

  std::string name;
  std::string title;
  std::string note;
  Method method = Method::kSelf;
  std::vector<std::string> query_labels;  // one for each query
  std::vector<std::string> key_labels;    // one for each key
  Array query;                            // or the embeddings
  std::optional<Array> key;               // or the memory
  std::optional<Array> value;
  std::optional<Array> query_projection;
  std::optional<Array> key_projection;
  std::optional<Array> value_projection;
  int32_t head_count = 1;
  std::optional<double> scale;
  Normalization normalization = Normalization::kSoftmaxOverKeys;
  std::optional<Array> multiplicative_mask;
  bool causal = false;
  std::optional<AdditiveScore> additive_score;
  Expected expected;
};

// INVALID_ARGUMENT if the text is not an example as README.md describes it; an unknown field is an
// error, so that a misspelt expectation cannot go unchecked. An example that expects nothing is an
// error too, and so are labels that are not one for each query or key.
[[nodiscard]] absl::StatusOr<Example> ParseExample(std::string_view json);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_EXAMPLES_EXAMPLE_H_
