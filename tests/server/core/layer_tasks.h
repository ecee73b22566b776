// Tasks over a layer of made-up numbers.

#ifndef ATTENTION_TESTS_SERVER_CORE_LAYER_TASKS_H_
#define ATTENTION_TESTS_SERVER_CORE_LAYER_TASKS_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "server/core/attention_task.h"
#include "server/core/layer.h"
#include "tests/server/core/layer_fixture.h"
#include "tests/support/random.h"

namespace attention::test {

// Embeddings that attend by a layer: to themselves or, with `memory_count`, to others.
class EmbeddingTask {
 public:
  EmbeddingTask(std::shared_ptr<const server::Layer> layer, int64_t query_count,
                int64_t memory_count = 0, uint64_t seed = 1) {
    const server::LayerContents& contents = layer->contents();
    const int64_t width = contents.query->input_width;
    Random random(seed);
    queries_ = Normals(query_count * width, random);
    memory_ = Normals(memory_count * width, random);
    const bool self = memory_count == 0;
    task.type = contents.type;
    task.query = Source(contents.query, contents.head_count, query_count, queries_);
    const int64_t key_count = self ? query_count : memory_count;
    const std::vector<float>& keys = self ? queries_ : memory_;
    task.key = Source(contents.key, contents.key_value_head_count, key_count, keys);
    task.value = Source(contents.value, contents.key_value_head_count, key_count, keys);
    if (contents.appended_key != nullptr) {
      task.key.appended = contents.appended_key;
      task.value.appended = contents.appended_value;
      ++task.key.view.extents[2];
      ++task.value.view.extents[2];
    }
    task.output_projection = contents.output;
    task.layer = std::move(layer);
  }

  server::AttentionTask task;

 private:
  static server::HeadsSource Source(const std::optional<server::LinearMap>& map, int64_t head_count,
                                    int64_t row_count, const std::vector<float>& rows) {
    server::HeadsSource source;
    source.view.extents = {1, head_count, row_count, map->output_width / head_count};
    source.projection = map;
    source.embeddings = rows.data();
    return source;
  }

  std::vector<float> queries_;
  std::vector<float> memory_;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CORE_LAYER_TASKS_H_
