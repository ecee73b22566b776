// The layers of a running server: loaded at the start, and again when the operator asks.

#ifndef ATTENTION_SERVER_LAYERS_LAYER_STORE_H_
#define ATTENTION_SERVER_LAYERS_LAYER_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/core/byte_budget.h"
#include "server/core/layer.h"
#include "server/layers/layer_directory.h"

namespace attention::server {

// Thread safety: one thread loads; the rest may be called from any thread. Must outlive every
// request.
class LayerStore {
 public:
  // An empty `directory` has no layers. `max_bytes` bounds what all layers keep: their contents
  // and, for each precision in use, their packed maps; those that are being loaded together with
  // those that they replace.
  LayerStore(std::string directory, int64_t max_bytes)
      : directory_(std::move(directory)), budget_(max_bytes) {}

  // Offers what the directory holds now to requests that come from now on. If that is not whole,
  // what was offered stays, and is meanwhile packed for no other precision. Errors as LoadLayers.
  [[nodiscard]] absl::Status Load(const LayerLoading& loading) {
    if (directory_.empty()) return absl::OkStatus();
    // What requests had packed beside must not keep the new layers out.
    const std::shared_ptr<const LayerSet> old_layers = registry_.layers();
    for (const auto& [name, layer] : *old_layers) layer->KeepOnlyPacked(loading.precision);
    absl::StatusOr<LayerSet> layers = LoadLayers(directory_, budget_, loading);
    if (!layers.ok()) {
      for (const auto& [name, layer] : *old_layers) layer->PackAnyPrecision();
      return layers.status();
    }
    registry_.Replace(std::make_shared<const LayerSet>(*std::move(layers)));
    return absl::OkStatus();
  }

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] const LayerRegistry& registry() const { return registry_; }
  [[nodiscard]] int64_t layer_count() const {
    return static_cast<int64_t>(registry_.layers()->size());
  }
  [[nodiscard]] int64_t used_bytes() const { return budget_.used_bytes(); }

 private:
  const std::string directory_;
  ByteBudget budget_;
  LayerRegistry registry_;  // after the budget, which outlives the layers
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_LAYER_STORE_H_
