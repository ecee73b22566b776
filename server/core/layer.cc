#include "server/core/layer.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/ascii.h"

namespace attention::server {
namespace {

constexpr size_t kMaxLayerNameLength = 128;

// One map as the kernels take it. Refers to `map`.
kernels::ProjectionMaps MapsOf(const LayerContents& contents, kernels::Precision precision,
                               int64_t input_width, const kernels::ProjectionMap& map) {
  return {.type = contents.type,
          .precision = precision,
          .input_width = input_width,
          .maps = std::span(&map, 1)};
}

kernels::ProjectionMap KernelMap(const LinearMap& map) {
  return {.output_width = map.output_width, .weight = map.weight, .bias = map.bias};
}

// False if there is no memory.
bool PackMap(const LayerContents& contents, kernels::Precision precision,
             const std::optional<LinearMap>& map,
             std::unique_ptr<const kernels::PackedProjection>& packed) {
  if (!map.has_value()) return true;
  const kernels::ProjectionMap kernel_map = KernelMap(*map);
  auto result =
      kernels::PackedProjection::Pack(MapsOf(contents, precision, map->input_width, kernel_map));
  if (!result.ok()) return false;
  packed = *std::move(result);
  return true;
}

}  // namespace

std::shared_ptr<const Layer> Layer::Make(LayerContents contents, ByteBudget& budget) {
  ByteBudget::Permit permit = budget.TryAcquire(ContentBytes(contents));
  if (!permit) return nullptr;
  return std::make_shared<const Layer>(std::move(contents), budget, std::move(permit));
}

Layer::Layer(LayerContents contents, ByteBudget& budget, ByteBudget::Permit permit)
    : contents_(std::move(contents)), budget_(budget), permit_(std::move(permit)) {}

int64_t Layer::ContentBytes(const LayerContents& contents) {
  int64_t bytes = 0;
  for (const Buffer& buffer : contents.storage) bytes += static_cast<int64_t>(buffer.byte_count());
  return bytes;
}

int64_t Layer::PackedBytes(const LayerContents& contents, kernels::Precision precision) {
  int64_t bytes = 0;
  for (const auto* map : {&contents.query, &contents.key, &contents.value, &contents.output}) {
    if (!map->has_value()) continue;
    const kernels::ProjectionMap kernel_map = KernelMap(**map);
    const int64_t map_bytes = kernels::PackedProjection::PackedBytes(
        MapsOf(contents, precision, (*map)->input_width, kernel_map));
    if (__builtin_add_overflow(bytes, map_bytes, &bytes)) {
      return std::numeric_limits<int64_t>::max();
    }
  }
  return bytes;
}

const PackedMaps* Layer::Packed(kernels::Precision precision) const {
  if (contents_.type != kernels::DataType::kF32) precision = kernels::Precision::kF32;
  Slot& slot = slots_[static_cast<size_t>(precision)];
  if (!slot.is_decided.load(std::memory_order_acquire)) {
    const std::lock_guard lock(slot.mutex);
    if (!slot.is_decided.load(std::memory_order_relaxed)) {
      Pack(precision, slot);
      slot.is_decided.store(true, std::memory_order_release);
    }
  }
  return slot.maps.has_value() ? &*slot.maps : nullptr;
}

void Layer::Pack(kernels::Precision precision, Slot& slot) const {
  ByteBudget::Permit permit = budget_.TryAcquire(PackedBytes(contents_, precision));
  if (!permit) return;
  PackedMaps maps;
  if (PackMap(contents_, precision, contents_.query, maps.query) &&
      PackMap(contents_, precision, contents_.key, maps.key) &&
      PackMap(contents_, precision, contents_.value, maps.value) &&
      PackMap(contents_, precision, contents_.output, maps.output)) {
    slot.maps = std::move(maps);
    slot.permit = std::move(permit);
  }
}

bool IsLayerName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxLayerNameLength) return false;
  if (!absl::ascii_isalnum(static_cast<unsigned char>(name.front()))) return false;
  return std::all_of(name.begin(), name.end(), [](char letter) {
    return absl::ascii_isalnum(static_cast<unsigned char>(letter)) || letter == '.' ||
           letter == '_' || letter == '-';
  });
}

}  // namespace attention::server
