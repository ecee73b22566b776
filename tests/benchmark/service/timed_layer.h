// Layers as large as those of models, which the timed server has loaded.

#ifndef ATTENTION_TESTS_BENCHMARK_SERVICE_TIMED_LAYER_H_
#define ATTENTION_TESTS_BENCHMARK_SERVICE_TIMED_LAYER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/tensor.h"

namespace attention::benchmark {

// Four projections with biases, as torch.nn.MultiheadAttention has them.
struct TimedLayer {
  std::string name;
  client::DataType type;  // of embeddings and weights: kF32 or kBF16
  int64_t width;
  int32_t head_count;
};

[[nodiscard]] const std::vector<TimedLayer>& TimedLayers();

// The folder of their files: written at the first call, deleted when the program ends.
[[nodiscard]] const std::string& TimedLayersDirectory();

// Numbers as the layer has them, rounded to its type; the tensors are of `type`.
struct Map {
  client::TensorValue weight;  // [width, width]
  client::TensorValue bias;    // [width]
};
// Index 0: queries, 1: keys, 2: values, 3: output.
[[nodiscard]] Map MapOf(const TimedLayer& layer, int index, client::DataType type);
[[nodiscard]] client::TensorValue Embeddings(const TimedLayer& layer, int64_t token_count,
                                             client::DataType type);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_SERVICE_TIMED_LAYER_H_
