#include "kernels/projection/panels.h"

#include <algorithm>

namespace attention::kernels {

int64_t PanelCount(std::span<const ProjectionMap> maps) {
  int64_t count = 0;
  for (const ProjectionMap& map : maps) count += DivideUp(map.output_width, kPanelColumns);
  return count;
}

PanelPlace PlaceOfPanel(std::span<const ProjectionMap> maps, int64_t panel) {
  PanelPlace place;
  place.panel = panel;
  for (const ProjectionMap& map : maps) {
    const int64_t count = DivideUp(map.output_width, kPanelColumns);
    if (panel < count) {
      place.first_column = panel * kPanelColumns;
      place.column_count = std::min(kPanelColumns, map.output_width - place.first_column);
      place.packed_column += place.first_column;
      return place;
    }
    panel -= count;
    place.packed_column += RoundUp(map.output_width, kPanelColumnMultiple);
    ++place.map;
  }
  return place;
}

NumberRows FreshPanels::BlockOf(const PanelPlace& place, int64_t first_row,
                                int64_t row_count) const {
  const ProjectionMap& map = maps_[static_cast<size_t>(place.map)];
  const auto element_bytes = static_cast<int64_t>(ElementBytes(plan_.type));
  return {.type = plan_.type,
          .data = static_cast<const std::byte*>(map.weight) +
                  (first_row * map.output_width + place.first_column) * element_bytes,
          .stride_bytes = map.output_width * element_bytes,
          .row_count = row_count,
          .width = place.column_count};
}

// A weight of one slab is packed at once, as long as its numbers are near.
bool FreshPanels::IsUnsplittable(const PanelPlace& place, PanelScratch& scratch) const {
  if (!plan_.splits()) return false;
  if (plan_.slab_count() > 1) return !BlockSplittable(BlockOf(place, 0, plan_.input_width));
  return !PackSlab(place, 0, ReserveSlab(0, scratch));
}

std::byte* FreshPanels::ReserveSlab(int64_t slab, PanelScratch& scratch) const {
  scratch.packed.Reserve(
      static_cast<size_t>(kPanelColumns * plan_.PanelColumnBytes(plan_.slab_rows(slab))));
  return scratch.packed.data();
}

bool FreshPanels::PackSlab(const PanelPlace& place, int64_t slab, void* packed) const {
  if (plan_.part_count() == 0) {
    PackF32Slab(place, slab, static_cast<float*>(packed));
    return true;
  }
  return PackPanelToBF16(BlockOf(place, slab * kSlabRows, plan_.slab_rows(slab)),
                         place.packed_count(), plan_.part_count(), static_cast<uint16_t*>(packed));
}

void FreshPanels::PackF32Slab(const PanelPlace& place, int64_t slab, float* packed) const {
  PackPanelToF32(BlockOf(place, slab * kSlabRows, plan_.slab_rows(slab)), place.packed_count(),
                 packed);
}

void FreshPanels::CopyBias(const PanelPlace& place, float* bias) const {
  std::fill_n(bias, place.packed_count(), 0.0f);
  const ProjectionMap& map = maps_[static_cast<size_t>(place.map)];
  if (map.bias == nullptr) return;
  const auto element_bytes = static_cast<int64_t>(ElementBytes(plan_.type));
  ConvertToF32(plan_.type,
               static_cast<const std::byte*>(map.bias) + place.first_column * element_bytes,
               place.column_count, bias);
}

const void* FreshPanels::Slab(const PanelPlace& place, int64_t slab, PanelScratch& scratch) const {
  const bool packed_already = plan_.splits() && plan_.slab_count() == 1;
  if (!packed_already) (void)PackSlab(place, slab, ReserveSlab(slab, scratch));
  return scratch.packed.data();
}

const float* FreshPanels::F32Slab(const PanelPlace& place, int64_t slab,
                                  PanelScratch& scratch) const {
  scratch.f32.Reserve(static_cast<size_t>(kPanelColumns * plan_.slab_rows(slab)));
  PackF32Slab(place, slab, scratch.f32.data());
  return scratch.f32.data();
}

const float* FreshPanels::Bias(const PanelPlace& place, PanelScratch& scratch) const {
  CopyBias(place, scratch.bias);
  return scratch.bias;
}

}  // namespace attention::kernels
