#include "tests/benchmark/service/timed_layer.h"

#include <cmath>
#include <span>

#include "absl/strings/str_cat.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/random.h"

namespace attention::benchmark {
namespace {

using client::DataType;
using client::Shape;
using client::TensorValue;

constexpr uint64_t kEmbeddingsSeed = 1;

uint64_t SeedOf(int map_index) { return static_cast<uint64_t>(map_index) + 2; }

// N(0, deviation^2), rounded to the layer's type.
TensorValue Numbers(const TimedLayer& layer, const Shape& shape, double deviation,
                    test::Random& random, DataType type) {
  std::vector<double> numbers(static_cast<size_t>(client::ElementCount(shape).value()));
  for (double& number : numbers) number = deviation * random.Normal();
  const TensorValue rounded = TensorValue::FromDoubles(layer.type, shape, numbers).value();
  return TensorValue::FromDoubles(type, shape, rounded.ToDoubles()).value();
}

test::NamedTensor Stored(const std::string& name, const TensorValue& tensor) {
  const std::span<const std::byte> bytes = tensor.bytes();
  return {.name = name,
          .shape = tensor.ref().shape(),
          .elements = {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
}

void Write(const TimedLayer& layer, const test::TemporaryFolder& folder) {
  std::vector<test::NamedTensor> tensors;
  int index = 0;
  for (const std::string name : {"query", "key", "value", "output"}) {
    const Map map = MapOf(layer, index++, DataType::kF32);
    tensors.push_back(Stored(name + ".weight", map.weight));
    tensors.push_back(Stored(name + ".bias", map.bias));
  }
  folder.Write(layer.name + "/weights.safetensors", test::SafetensorsOf(tensors));
  const std::string_view type = client::Name(layer.type);
  folder.Write(layer.name + "/layer.json",
               absl::StrCat(R"({"format": "plain", "head_count": )", layer.head_count,
                            R"(, "data_type": ")", std::string(type), R"("})"));
}

}  // namespace

const std::vector<TimedLayer>& TimedLayers() {
  static const auto& layers = *new std::vector<TimedLayer>{
      {.name = "768-f32", .type = DataType::kF32, .width = 768, .head_count = 12},
      {.name = "768-bf16", .type = DataType::kBF16, .width = 768, .head_count = 12},
  };
  return layers;
}

const std::string& TimedLayersDirectory() {
  static const test::TemporaryFolder folder;
  static const std::string path = [] {
    for (const TimedLayer& layer : TimedLayers()) Write(layer, folder);
    return folder.path().string();
  }();
  return path;
}

Map MapOf(const TimedLayer& layer, int index, DataType type) {
  test::Random random(SeedOf(index));
  const double deviation = 1 / std::sqrt(static_cast<double>(layer.width));
  return {.weight = Numbers(layer, {layer.width, layer.width}, deviation, random, type),
          .bias = Numbers(layer, {layer.width}, deviation, random, type)};
}

TensorValue Embeddings(const TimedLayer& layer, int64_t token_count, DataType type) {
  test::Random random(kEmbeddingsSeed);
  return Numbers(layer, {token_count, layer.width}, 1, random, type);
}

}  // namespace attention::benchmark
