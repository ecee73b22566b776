#include "kernels/fused/mask_rows.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/score_rows.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();

const std::byte* ElementAddress(const TensorView& mask, int64_t offset) {
  return static_cast<const std::byte*>(mask.data) +
         offset * static_cast<int64_t>(ElementBytes(mask.type));
}

template <class Word>
void GatherWords(const void* source, int64_t stride, int64_t count, void* destination) {
  const auto* from = static_cast<const Word*>(source);
  auto* to = static_cast<Word*>(destination);
  if (stride == 0) {
    std::fill_n(to, count, *from);
    return;
  }
  for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
}

// Copies elements of a row of the mask to where they lie one after the other.
void Gather(const TensorView& mask, const std::byte* source, int64_t count, void* destination) {
  const int64_t stride = mask.strides[3];
  switch (ElementBytes(mask.type)) {
    case 1:
      return GatherWords<uint8_t>(source, stride, count, destination);
    case 2:
      return GatherWords<uint16_t>(source, stride, count, destination);
    case 4:
      return GatherWords<uint32_t>(source, stride, count, destination);
    default:
      return GatherWords<uint64_t>(source, stride, count, destination);
  }
}

}  // namespace

bool MaskRows::MadeRow::ClaimFor(const void* new_source, int64_t new_value,
                                 const KeySpan& new_keys) {
  if (source == new_source && value == new_value && keys == new_keys) return true;
  source = new_source;
  value = new_value;
  keys = new_keys;
  visible.resize(static_cast<size_t>(new_keys.count));
  return false;
}

void MaskRows::Begin(const FusedCall& call, int64_t batch) {
  call_ = &call;
  batch_ = batch;
  segments_hide_ = call.visibility.SegmentsAreMask(batch);
  hides_ = segments_hide_ || problem().boolean_mask.present() ||
           problem().additive_mask.present() || problem().block_mask.mask.present();
  place_ = FindPlace();
  blocks_.source = nullptr;
  segments_.source = nullptr;
}

MaskPlace MaskRows::FindPlace() const {
  if (!hides_) return MaskPlace::kNowhere;
  const bool by_elements = problem().boolean_mask.present() || problem().block_mask.mask.present();
  if (problem().additive_mask.present()) {
    const bool alone = !by_elements && !segments_hide_ && !call_->relative_bias.present() &&
                       call_->form.softcap() == 0;
    return alone ? MaskPlace::kAdditive : MaskPlace::kScores;
  }
  if (call_->form.transforms()) return MaskPlace::kScores;
  return by_elements ? MaskPlace::kVisible : MaskPlace::kSegments;
}

MaskRow<float> MaskRows::AdditiveRow(const ScoreRow& row, const KeySpan& keys) {
  const TensorView& mask = problem().additive_mask;
  if (!mask.present()) return {};
  const std::byte* elements =
      ElementAddress(mask, MaskOffset(mask, batch_, row.head, row.query, keys.first));
  const bool dense = mask.strides[3] == 1 || keys.count == 1;
  if (dense && mask.type == DataType::kF32) {
    return {.elements = reinterpret_cast<const float*>(elements), .lasts = true};
  }
  if (!dense) {
    gathered_.resize(static_cast<size_t>(keys.count));
    Gather(mask, elements, keys.count, gathered_.data());
    elements = reinterpret_cast<const std::byte*>(gathered_.data());
  }
  additive_.resize(static_cast<size_t>(keys.count));
  ConvertToF32(mask.type, elements, keys.count, additive_.data());
  return {.elements = additive_.data()};
}

const uint8_t* MaskRows::BooleanRow(const ScoreRow& row, const KeySpan& keys) {
  const TensorView& mask = problem().boolean_mask;
  if (!mask.present()) return nullptr;
  const std::byte* elements =
      ElementAddress(mask, MaskOffset(mask, batch_, row.head, row.query, keys.first));
  if (mask.strides[3] == 1 || keys.count == 1) return reinterpret_cast<const uint8_t*>(elements);
  boolean_.resize(static_cast<size_t>(keys.count));
  Gather(mask, elements, keys.count, boolean_.data());
  return boolean_.data();
}

const uint8_t* MaskRows::BlocksOf(const ScoreRow& row) const {
  const BlockMask& blocks = problem().block_mask;
  return static_cast<const uint8_t*>(blocks.mask.data) +
         MaskOffset(blocks.mask, batch_, row.head, row.query / blocks.query_block_size, 0);
}

const uint8_t* MaskRows::BlockRow(const ScoreRow& row, const KeySpan& keys) {
  const BlockMask& blocks = problem().block_mask;
  if (!blocks.mask.present()) return nullptr;
  const uint8_t* elements = BlocksOf(row);
  if (blocks_.ClaimFor(elements, 0, keys)) return blocks_.visible.data();
  const int64_t size = blocks.key_block_size;
  uint8_t* visible = blocks_.visible.data();
  for (int64_t key = keys.first; key < keys.end();) {
    const int64_t block = key / size;
    // No overflow: the rest of a block is counted from the key.
    const int64_t count = std::min(size - key % size, keys.end() - key);
    std::memset(visible + (key - keys.first), elements[block * blocks.mask.strides[3]],
                static_cast<size_t>(count));
    key += count;
  }
  return visible;
}

int32_t MaskRows::SegmentOf(int64_t query) const {
  return problem().query_segments[static_cast<size_t>(batch_ * problem().query.extents[2] + query)];
}

const uint8_t* MaskRows::SegmentRow(const ScoreRow& row, const KeySpan& keys) {
  if (!segments_hide_) return nullptr;
  const int32_t* key_segments =
      problem().key_segments.data() + batch_ * problem().key.extents[2] + keys.first;
  const int32_t segment = SegmentOf(row.query);
  if (!segments_.ClaimFor(key_segments, segment, keys)) {
    CompareEqual(key_segments, segment, keys.count, segments_.visible.data());
  }
  return segments_.visible.data();
}

MaskRow<uint8_t> MaskRows::VisibleRow(const ScoreRow& row, const KeySpan& keys) {
  const uint8_t* const boolean = BooleanRow(row, keys);
  MaskRow<uint8_t> visible = {.elements = boolean, .lasts = boolean != boolean_.data()};
  for (const uint8_t* kind : {BlockRow(row, keys), SegmentRow(row, keys)}) {
    if (kind == nullptr) continue;
    visible.lasts = false;
    if (visible.elements == nullptr) {
      visible.elements = kind;
      continue;
    }
    combined_.resize(static_cast<size_t>(keys.count));
    for (int64_t i = 0; i < keys.count; ++i) {
      combined_[static_cast<size_t>(i)] = visible.elements[i] != 0 && kind[i] != 0 ? 1 : 0;
    }
    visible.elements = combined_.data();
  }
  return visible;
}

void MaskRows::Apply(const ScoreRow& row, const KeySpan& keys, float* scores) {
  if (keys.count == 0) return;
  const RelativeBiasTable& relative_bias = call_->relative_bias;
  const ScoreTransform transform = {
      .multiplier = call_->form.multiplier(),
      .softcap = call_->form.softcap(),
      .relative_bias = relative_bias.present()
                           ? relative_bias.Row(batch_, row.head, row.query, keys.first)
                           : nullptr,
      .additive = AdditiveRow(row, keys).elements,
      .visible = VisibleRow(row, keys).elements};
  TransformScores(transform, keys.count, scores);
}

bool MaskRows::AnyBlockVisible(const ScoreRow& row, const KeySpan& keys) const {
  const BlockMask& blocks = problem().block_mask;
  const uint8_t* elements = BlocksOf(row);
  const int64_t last = (keys.end() - 1) / blocks.key_block_size;
  for (int64_t block = keys.first / blocks.key_block_size; block <= last; ++block) {
    if (elements[block * blocks.mask.strides[3]] != 0) return true;
  }
  return false;
}

bool MaskRows::AnyVisible(const ScoreRow& row, const KeySpan& keys) {
  if (keys.count == 0) return false;
  if (problem().block_mask.mask.present()) {
    if (!AnyBlockVisible(row, keys)) return false;
    const bool alone =
        !segments_hide_ && !problem().boolean_mask.present() && !problem().additive_mask.present();
    if (alone) return true;
  }
  const uint8_t* visible = VisibleRow(row, keys).elements;
  if (visible != nullptr && !AnySeen(visible, nullptr, keys.count)) return false;
  const float* additive = AdditiveRow(row, keys).elements;
  return additive == nullptr || AnySeen(visible, additive, keys.count);
}

bool MaskRows::SameMasks(const ScoreRow& a, const ScoreRow& b) const {
  const auto same = [&](const TensorView& mask, int64_t query_a, int64_t query_b) {
    return !mask.present() || MaskOffset(mask, batch_, a.head, query_a, 0) ==
                                  MaskOffset(mask, batch_, b.head, query_b, 0);
  };
  const BlockMask& blocks = problem().block_mask;
  return same(problem().boolean_mask, a.query, b.query) &&
         same(problem().additive_mask, a.query, b.query) &&
         same(blocks.mask, a.query / blocks.query_block_size, b.query / blocks.query_block_size) &&
         (!segments_hide_ || SegmentOf(a.query) == SegmentOf(b.query));
}

bool MaskRows::Visible(const ScoreRow& row, int64_t key) const {
  const AttentionProblem& problem = call_->problem;
  const auto sees = [&](const TensorView& mask, int64_t query, int64_t column) {
    return static_cast<const uint8_t*>(
               mask.data)[MaskOffset(mask, batch_, row.head, query, column)] != 0;
  };
  const TensorView& boolean = problem.boolean_mask;
  if (boolean.present() && !sees(boolean, row.query, key)) return false;
  const BlockMask& blocks = problem.block_mask;
  if (blocks.mask.present() &&
      !sees(blocks.mask, row.query / blocks.query_block_size, key / blocks.key_block_size)) {
    return false;
  }
  if (segments_hide_ &&
      SegmentOf(row.query) !=
          problem.key_segments[static_cast<size_t>(batch_ * problem.key.extents[2] + key)]) {
    return false;
  }
  const TensorView& additive = problem.additive_mask;
  if (!additive.present()) return true;
  float bias = 0;
  ConvertToF32(additive.type,
               ElementAddress(additive, MaskOffset(additive, batch_, row.head, row.query, key)), 1,
               &bias);
  return bias != kHidden;
}

}  // namespace attention::kernels
