// Layers: projections that the server has loaded, so that requests need not send them.

#ifndef ATTENTION_SERVER_CORE_LAYER_H_
#define ATTENTION_SERVER_CORE_LAYER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/attend.h"
#include "kernels/projection.h"
#include "server/core/attention_task.h"
#include "server/core/buffer.h"
#include "server/core/byte_budget.h"

namespace attention::server {

// What a layer is made of.
struct LayerContents {
  std::string name;
  std::string format;  // "pytorch", "keras" or "plain"
  kernels::DataType type = kernels::DataType::kF32;
  int64_t head_count = 1;
  int64_t key_value_head_count = 1;

  std::optional<LinearMap> query, key, value;  // to heads side by side; absent: the identity
  std::optional<LinearMap> output;             // from heads side by side; absent: the identity

  // One more key and value after the projected ones: [key-value heads * width]; both or neither.
  const void* appended_key = nullptr;
  const void* appended_value = nullptr;

  // What the layer fixes.
  std::optional<double> scale;
  std::vector<double> sinks;  // one for each head, or none

  std::vector<Buffer> storage;  // what the pointers above point into
};

// A layer's maps, packed for products of one precision; null where the layer has none.
struct PackedMaps {
  ByteBudget::Permit permit;  // for the rest
  std::unique_ptr<const kernels::PackedProjection> query, key, value, output;
};

// Immutable but for what it keeps packed. Thread safety: all methods may be called from any thread.
class Layer {
 public:
  // What it keeps is counted in `budget`, which must outlive it, as ContentBytes and, for each
  // precision that is used, PackedBytes. Null if that does not fit.
  [[nodiscard]] static std::shared_ptr<const Layer> Make(LayerContents contents,
                                                         ByteBudget& budget);

  [[nodiscard]] const LayerContents& contents() const { return contents_; }

  // The maps for products of this precision, which the first caller packs while others wait for it.
  // Null where memory is lacking, or after KeepOnlyPacked: the maps of `contents` then serve, with
  // the same bits. A precision means nothing to layers that are not F32, and all have the same maps
  // packed.
  [[nodiscard]] std::shared_ptr<const PackedMaps> Packed(kernels::Precision precision) const;

  // Drops the maps packed for other precisions once nobody uses them, and packs no others until
  // PackAnyPrecision.
  void KeepOnlyPacked(kernels::Precision precision) const;
  void PackAnyPrecision() const;

  // Bytes of weights, biases and appended rows.
  [[nodiscard]] static int64_t ContentBytes(const LayerContents& contents);
  // Bytes of its maps packed for one precision, at most.
  [[nodiscard]] static int64_t PackedBytes(const LayerContents& contents,
                                           kernels::Precision precision);

  Layer(LayerContents contents, ByteBudget& budget, ByteBudget::Permit permit);

 private:
  // One precision's maps.
  struct Slot {
    std::mutex mutex;  // also held while packing
    std::shared_ptr<const PackedMaps> maps;
    bool closed = false;         // by KeepOnlyPacked
    bool out_of_memory = false;  // the budget had room, but the machine had not
  };
  static constexpr size_t kPrecisionCount = 5;

  [[nodiscard]] Slot& SlotOf(kernels::Precision precision) const;
  void Pack(kernels::Precision precision, Slot& slot) const;

  const LayerContents contents_;
  ByteBudget& budget_;
  const ByteBudget::Permit permit_;  // for contents_
  mutable std::array<Slot, kPrecisionCount> slots_;
};

// By name.
using LayerSet = std::map<std::string, std::shared_ptr<const Layer>, std::less<>>;

// The layers that requests can name. A request keeps the set that it began with. Thread safety: all
// methods may be called from any thread.
class LayerRegistry {
 public:
  // Never null.
  [[nodiscard]] std::shared_ptr<const LayerSet> layers() const {
    const std::lock_guard lock(mutex_);
    return layers_;
  }

  // For requests that come from now on.
  void Replace(std::shared_ptr<const LayerSet> layers) {
    const std::lock_guard lock(mutex_);
    layers_.swap(layers);  // the old set goes, if nobody uses it, after the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const LayerSet> layers_ = std::make_shared<const LayerSet>();
};

// 1 to 128 characters: letters and digits of ASCII and, but for the first, `.`, `_` and `-`.
[[nodiscard]] bool IsLayerName(absl::string_view name);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_LAYER_H_
