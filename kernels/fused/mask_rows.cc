#include "kernels/fused/mask_rows.h"

#include <limits>

#include "kernels/elementwise/elementwise.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

const std::byte* ElementAddress(const TensorView& mask, int64_t offset) {
  return static_cast<const std::byte*>(mask.data) +
         offset * static_cast<int64_t>(ElementBytes(mask.type));
}

}  // namespace

const float* MaskRows::AdditiveRow(const ScoreRow& row, int64_t first_key, int64_t count) {
  const TensorView& mask = problem_->additive_mask;
  if (!mask.present()) return nullptr;
  const auto address = [&](int64_t key) {
    return ElementAddress(mask, MaskOffset(mask, batch_, row.head, row.query, key));
  };
  const bool dense = mask.strides[3] == 1 || count == 1;
  if (dense && mask.type == DataType::kF32)
    return reinterpret_cast<const float*>(address(first_key));
  additive_.resize(static_cast<size_t>(count));
  if (dense) {
    ConvertToF32(mask.type, address(first_key), count, additive_.data());
    return additive_.data();
  }
  for (int64_t key = 0; key < count; ++key) {
    ConvertToF32(mask.type, address(first_key + key), 1, &additive_[static_cast<size_t>(key)]);
  }
  return additive_.data();
}

const uint8_t* MaskRows::BooleanRow(const ScoreRow& row, int64_t first_key, int64_t count) {
  const TensorView& mask = problem_->boolean_mask;
  if (!mask.present()) return nullptr;
  const auto* elements = static_cast<const uint8_t*>(mask.data);
  if (mask.strides[3] == 1 || count == 1) {
    return elements + MaskOffset(mask, batch_, row.head, row.query, first_key);
  }
  boolean_.resize(static_cast<size_t>(count));
  for (int64_t key = 0; key < count; ++key) {
    boolean_[static_cast<size_t>(key)] =
        elements[MaskOffset(mask, batch_, row.head, row.query, first_key + key)];
  }
  return boolean_.data();
}

void MaskRows::Apply(const ScoreRow& row, int64_t first_key, int64_t count, float scale,
                     float* scores) {
  MaskScores(scores, count, scale, AdditiveRow(row, first_key, count),
             BooleanRow(row, first_key, count));
}

bool MaskRows::AnyVisible(const ScoreRow& row, int64_t first_key, int64_t count) {
  const uint8_t* boolean = BooleanRow(row, first_key, count);
  const float* additive = AdditiveRow(row, first_key, count);
  for (int64_t i = 0; i < count; ++i) {
    if (boolean != nullptr && boolean[i] == 0) continue;
    if (additive == nullptr || additive[i] != kHidden) return true;
  }
  return false;
}

bool MaskRows::Visible(const ScoreRow& row, int64_t key) const {
  const TensorView& boolean = problem_->boolean_mask;
  if (boolean.present() &&
      static_cast<const uint8_t*>(
          boolean.data)[MaskOffset(boolean, batch_, row.head, row.query, key)] == 0) {
    return false;
  }
  const TensorView& additive = problem_->additive_mask;
  if (!additive.present()) return true;
  float bias = 0;
  ConvertToF32(additive.type,
               ElementAddress(additive, MaskOffset(additive, batch_, row.head, row.query, key)), 1,
               &bias);
  return bias != kHidden;
}

}  // namespace attention::kernels
