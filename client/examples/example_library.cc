#include "client/examples/example_library.h"

#include <utility>

namespace attention::client {

absl::StatusOr<std::vector<Example>> LoadExamples() {
  std::vector<Example> examples;
  for (const std::string_view text : EmbeddedExamples()) {
    absl::StatusOr<Example> example = ParseExample(text);
    if (!example.ok()) return example.status();
    examples.push_back(*std::move(example));
  }
  return examples;
}

}  // namespace attention::client
