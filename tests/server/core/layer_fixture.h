// Layers of made-up numbers.

#ifndef ATTENTION_TESTS_SERVER_CORE_LAYER_FIXTURE_H_
#define ATTENTION_TESTS_SERVER_CORE_LAYER_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "server/core/layer.h"
#include "tests/support/random.h"

namespace attention::test {

struct LayerRecipe {
  int64_t head_count = 1;
  int64_t key_value_head_count = 1;
  int64_t head_width = 1;
  int64_t embedding_width = 1;
  uint64_t seed = 1;
};

// Copies numbers into memory that the layer owns.
inline const float* Keep(const std::vector<float>& numbers, server::LayerContents& contents) {
  server::Buffer buffer(numbers.size() * sizeof(float));
  std::copy(numbers.begin(), numbers.end(), static_cast<float*>(buffer.data()));
  contents.storage.push_back(std::move(buffer));
  return static_cast<const float*>(contents.storage.back().data());
}

inline std::vector<float> Normals(int64_t count, Random& random) {
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = static_cast<float>(random.Normal());
  return numbers;
}

// An F32 layer with all four maps and their biases.
inline server::LayerContents RandomLayer(const std::string& name, const LayerRecipe& recipe) {
  Random random(recipe.seed);
  server::LayerContents contents;
  contents.name = name;
  contents.format = "plain";
  contents.head_count = recipe.head_count;
  contents.key_value_head_count = recipe.key_value_head_count;
  const auto map = [&](int64_t input_width, int64_t output_width) {
    server::LinearMap result = {.input_width = input_width, .output_width = output_width};
    result.weight = Keep(Normals(input_width * output_width, random), contents);
    result.bias = Keep(Normals(output_width, random), contents);
    return result;
  };
  const int64_t query_width = recipe.head_count * recipe.head_width;
  const int64_t key_width = recipe.key_value_head_count * recipe.head_width;
  contents.query = map(recipe.embedding_width, query_width);
  contents.key = map(recipe.embedding_width, key_width);
  contents.value = map(recipe.embedding_width, key_width);
  contents.output = map(query_width, recipe.embedding_width);
  return contents;
}

inline server::LayerContents TinyLayer() {
  return RandomLayer(
      "tiny", {.head_count = 2, .key_value_head_count = 1, .head_width = 3, .embedding_width = 4});
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CORE_LAYER_FIXTURE_H_
