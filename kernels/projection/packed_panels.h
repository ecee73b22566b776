// Panels packed once, for many products.

#ifndef ATTENTION_KERNELS_PROJECTION_PACKED_PANELS_H_
#define ATTENTION_KERNELS_PROJECTION_PACKED_PANELS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/projection/panels.h"

namespace attention::kernels {

// Owns all it needs. Throws std::bad_alloc where it is made.
class PackedPanels final : public Panels {
 public:
  // Packs on the execution's threads. Stops early if asked; what it holds is then worthless.
  PackedPanels(const ProjectionPlan& plan, std::span<const ProjectionMap> maps,
               const Execution& execution);

  // Bytes of panels and biases, at most; for F64 those of copies. Saturates.
  [[nodiscard]] static int64_t ByteCount(const ProjectionPlan& plan,
                                         std::span<const ProjectionMap> maps);

  bool IsUnsplittable(const PanelPlace& place, PanelScratch& scratch) const override;
  const void* Slab(const PanelPlace& place, int64_t slab, PanelScratch& scratch) const override;
  const float* F32Slab(const PanelPlace& place, int64_t slab, PanelScratch& scratch) const override;
  const float* Bias(const PanelPlace& place, PanelScratch& scratch) const override;

 private:
  void PackPanel(const FreshPanels& fresh, const PanelPlace& place);
  [[nodiscard]] std::byte* SlabAddress(const PanelPlace& place, int64_t slab) const;

  const ProjectionPlan plan_;
  AlignedArray<std::byte> packed_;     // panel after panel, slab after slab
  AlignedArray<float> biases_;         // by packed column
  std::vector<uint8_t> unsplittable_;  // by panel; those are packed in f32
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_PACKED_PANELS_H_
