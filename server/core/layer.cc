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
  const bool has_precision = contents.type == kernels::DataType::kF32;
  return {.type = contents.type,
          .precision = has_precision ? precision : kernels::Precision::kF32,
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

std::shared_ptr<const PackedMaps> Layer::Packed(kernels::Precision precision) const {
  Slot& slot = SlotOf(precision);
  const std::lock_guard lock(slot.mutex);
  if (slot.maps == nullptr && !slot.closed && !slot.out_of_memory) Pack(precision, slot);
  return slot.maps;
}

void Layer::KeepOnlyPacked(kernels::Precision precision) const {
  for (Slot& slot : slots_) {
    if (&slot == &SlotOf(precision)) continue;
    const std::lock_guard lock(slot.mutex);
    slot.maps = nullptr;
    slot.closed = true;
  }
}

void Layer::PackAnyPrecision() const {
  for (Slot& slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    slot.closed = false;
    slot.out_of_memory = false;
  }
}

Layer::Slot& Layer::SlotOf(kernels::Precision precision) const {
  if (contents_.type != kernels::DataType::kF32) precision = kernels::Precision::kF32;
  return slots_[static_cast<size_t>(precision)];
}

void Layer::Pack(kernels::Precision precision, Slot& slot) const {
  auto maps = std::make_shared<PackedMaps>();
  maps->permit = budget_.TryAcquire(PackedBytes(contents_, precision));
  if (!maps->permit) return;
  if (PackMap(contents_, precision, contents_.query, maps->query) &&
      PackMap(contents_, precision, contents_.key, maps->key) &&
      PackMap(contents_, precision, contents_.value, maps->value) &&
      PackMap(contents_, precision, contents_.output, maps->output)) {
    slot.maps = std::move(maps);
  } else {
    slot.out_of_memory = true;
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
