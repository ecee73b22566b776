// The weights of a projection as panels of columns, packed before or when they are needed.

#ifndef ATTENTION_KERNELS_PROJECTION_PANELS_H_
#define ATTENTION_KERNELS_PROJECTION_PANELS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/aligned_array.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/projection_rows.h"
#include "kernels/projection.h"
#include "kernels/projection/projection_plan.h"

namespace attention::kernels {

// Columns [first_column, first_column + column_count) of a map.
struct PanelPlace {
  int64_t panel = 0;  // among those of all maps
  int64_t map = 0;
  int64_t first_column = 0;
  int64_t column_count = 0;
  int64_t packed_column = 0;  // where it begins among the packed columns of all maps

  [[nodiscard]] int64_t packed_count() const { return RoundUp(column_count, kPanelColumnMultiple); }
};

[[nodiscard]] int64_t PanelCount(std::span<const ProjectionMap> maps);
[[nodiscard]] PanelPlace PlaceOfPanel(std::span<const ProjectionMap> maps, int64_t panel);

// Packs slab after slab of a panel for one thread, which keeps the memory. Throws std::bad_alloc.
struct PanelScratch {
  AlignedArray<std::byte> packed;
  AlignedArray<float> f32;
  float bias[kPanelColumns];
};

// Thread safety: all methods may be called from any thread.
class Panels {
 public:
  virtual ~Panels() = default;

  // Whether its products are in f32 although the plan splits operands: some number cannot be split.
  // Asked before any slab.
  [[nodiscard]] virtual bool IsUnsplittable(const PanelPlace& place,
                                            PanelScratch& scratch) const = 0;

  // A slab in the plan's form, and in f32.
  [[nodiscard]] virtual const void* Slab(const PanelPlace& place, int64_t slab,
                                         PanelScratch& scratch) const = 0;
  [[nodiscard]] virtual const float* F32Slab(const PanelPlace& place, int64_t slab,
                                             PanelScratch& scratch) const = 0;

  [[nodiscard]] virtual const float* Bias(const PanelPlace& place, PanelScratch& scratch) const = 0;
};

// Refers to the maps, and packs at each call.
class FreshPanels final : public Panels {
 public:
  FreshPanels(const ProjectionPlan& plan, std::span<const ProjectionMap> maps)
      : plan_(plan), maps_(maps) {}

  bool IsUnsplittable(const PanelPlace& place, PanelScratch& scratch) const override;
  const void* Slab(const PanelPlace& place, int64_t slab, PanelScratch& scratch) const override;
  const float* F32Slab(const PanelPlace& place, int64_t slab, PanelScratch& scratch) const override;
  const float* Bias(const PanelPlace& place, PanelScratch& scratch) const override;

  // The same into memory of the caller's. PackSlab returns false, with part of it written, if the
  // plan splits operands and some number cannot be split.
  [[nodiscard]] bool PackSlab(const PanelPlace& place, int64_t slab, void* packed) const;
  void PackF32Slab(const PanelPlace& place, int64_t slab, float* packed) const;
  void CopyBias(const PanelPlace& place, float* bias) const;  // packed_count() numbers

 private:
  [[nodiscard]] std::byte* ReserveSlab(int64_t slab, PanelScratch& scratch) const;
  [[nodiscard]] NumberRows BlockOf(const PanelPlace& place, int64_t first_row,
                                   int64_t row_count) const;

  const ProjectionPlan& plan_;
  std::span<const ProjectionMap> maps_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_PANELS_H_
