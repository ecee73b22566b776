#include "kernels/projection/packed_panels.h"

#include <limits>

namespace attention::kernels {
namespace {

int64_t PackedColumnCount(std::span<const ProjectionMap> maps) {
  int64_t count = 0;
  for (const ProjectionMap& map : maps) count += RoundUp(map.output_width, kPanelColumnMultiple);
  return count;
}

}  // namespace

PackedPanels::PackedPanels(const ProjectionPlan& plan, std::span<const ProjectionMap> maps,
                           const Execution& execution)
    : plan_(plan),
      packed_(
          static_cast<size_t>(PackedColumnCount(maps) * plan.PanelColumnBytes(plan.input_width))),
      biases_(static_cast<size_t>(PackedColumnCount(maps))),
      unsplittable_(static_cast<size_t>(PanelCount(maps)), 0) {
  const FreshPanels fresh(plan_, maps);
  RunItems(execution, PanelCount(maps),
           [&](int64_t panel) { PackPanel(fresh, PlaceOfPanel(maps, panel)); });
}

int64_t PackedPanels::ByteCount(const ProjectionPlan& plan, std::span<const ProjectionMap> maps) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMostBytesOfANumber = 8;
  int64_t bytes = 0;
  for (const ProjectionMap& map : maps) {
    int64_t map_bytes = 0;
    if (map.output_width > kLargest / 2 || plan.input_width > kLargest / kMostBytesOfANumber / 2) {
      return kLargest;
    }
    const int64_t column_bytes = plan.PanelColumnBytes(plan.input_width) + kMostBytesOfANumber;
    if (__builtin_mul_overflow(RoundUp(map.output_width, kPanelColumnMultiple), column_bytes,
                               &map_bytes) ||
        __builtin_add_overflow(bytes, map_bytes, &bytes)) {
      return kLargest;
    }
  }
  return bytes;
}

// A column in f32 takes no more than in three parts of BF16.
void PackedPanels::PackPanel(const FreshPanels& fresh, const PanelPlace& place) {
  fresh.CopyBias(place, biases_.data() + place.packed_column);
  bool splittable = true;
  for (int64_t slab = 0; slab < plan_.slab_count() && splittable; ++slab) {
    splittable = fresh.PackSlab(place, slab, SlabAddress(place, slab));
  }
  if (splittable) return;
  unsplittable_[static_cast<size_t>(place.panel)] = 1;
  for (int64_t slab = 0; slab < plan_.slab_count(); ++slab) {
    fresh.PackF32Slab(place, slab, reinterpret_cast<float*>(SlabAddress(place, slab)));
  }
}

std::byte* PackedPanels::SlabAddress(const PanelPlace& place, int64_t slab) const {
  return packed_.data() + place.packed_column * plan_.PanelColumnBytes(plan_.input_width) +
         slab * place.packed_count() * plan_.PanelColumnBytes(kSlabRows);
}

bool PackedPanels::IsUnsplittable(const PanelPlace& place, PanelScratch& /*scratch*/) const {
  return unsplittable_[static_cast<size_t>(place.panel)] != 0;
}

const void* PackedPanels::Slab(const PanelPlace& place, int64_t slab,
                               PanelScratch& /*scratch*/) const {
  return SlabAddress(place, slab);
}

const float* PackedPanels::F32Slab(const PanelPlace& place, int64_t slab,
                                   PanelScratch& scratch) const {
  const std::byte* address = SlabAddress(place, slab);
  if (plan_.part_count() == 0 || IsUnsplittable(place, scratch)) {
    return reinterpret_cast<const float*>(address);
  }
  const int64_t row_count = plan_.slab_rows(slab);
  scratch.f32.Reserve(static_cast<size_t>(kPanelColumns * row_count));
  JoinPanelParts(reinterpret_cast<const uint16_t*>(address), row_count, place.packed_count(),
                 scratch.f32.data());
  return scratch.f32.data();
}

const float* PackedPanels::Bias(const PanelPlace& place, PanelScratch& /*scratch*/) const {
  return biases_.data() + place.packed_column;
}

}  // namespace attention::kernels
