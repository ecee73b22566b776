#include "tests/support/test_tensor.h"

#include <algorithm>

#include "kernels/convert.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::ElementBytes;
using kernels::Extents;

constexpr size_t kGuardBytes = 64;
constexpr std::byte kUntouched{0xA5};
constexpr int64_t kPaddingElements = 3;

Extents Strides(const Extents& extents, Layout layout) {
  switch (layout) {
    case Layout::kDense:
      return kernels::DenseStrides(extents);
    case Layout::kSequenceFirst:
      return {extents[1] * extents[2] * extents[3], extents[3], extents[1] * extents[3], 1};
    case Layout::kPadded:
      Extents padded = extents;
      padded[3] += kPaddingElements;
      return kernels::DenseStrides(padded);
  }
  return {};
}

int64_t StorageElements(Extents extents, Layout layout) {
  if (layout == Layout::kPadded) extents[3] += kPaddingElements;
  return kernels::ElementCount(extents);
}

// The guard before the data is odd in elements, so that the data is never better aligned than it
// must be.
size_t FirstByte(DataType type) { return kGuardBytes + ElementBytes(type); }

// Calls visit(batch, head, row, column) for every element.
template <typename Visit>
void ForEach(const Extents& extents, Visit visit) {
  for (int64_t b = 0; b < extents[0]; ++b) {
    for (int64_t h = 0; h < extents[1]; ++h) {
      for (int64_t r = 0; r < extents[2]; ++r) {
        for (int64_t c = 0; c < extents[3]; ++c) visit(b, h, r, c);
      }
    }
  }
}

}  // namespace

TestTensor::TestTensor(DataType type, const Extents& extents, const Extents& strides,
                       int64_t element_count)
    : type_(type),
      extents_(extents),
      strides_(strides),
      storage_(
          FirstByte(type) + static_cast<size_t>(element_count) * ElementBytes(type) + kGuardBytes,
          kUntouched) {}

TestTensor::TestTensor(DataType type, const Extents& extents, Layout layout)
    : TestTensor(type, extents, Strides(extents, layout), StorageElements(extents, layout)) {}

TestTensor TestTensor::Mask(DataType type, const Extents& extents,
                            const std::array<bool, 4>& broadcast) {
  Extents stored = extents;
  for (size_t axis = 0; axis < 4; ++axis) {
    if (broadcast[axis]) stored[axis] = 1;
  }
  Extents strides = kernels::DenseStrides(stored);
  for (size_t axis = 0; axis < 4; ++axis) {
    if (broadcast[axis]) strides[axis] = 0;
  }
  return TestTensor(type, extents, strides, kernels::ElementCount(stored));
}

size_t TestTensor::ByteOffset(int64_t batch, int64_t head, int64_t row, int64_t column) const {
  const int64_t element =
      batch * strides_[0] + head * strides_[1] + row * strides_[2] + column * strides_[3];
  return FirstByte(type_) + static_cast<size_t>(element) * ElementBytes(type_);
}

double TestTensor::At(int64_t batch, int64_t head, int64_t row, int64_t column) const {
  return kernels::LoadElement(type_, storage_.data() + ByteOffset(batch, head, row, column));
}

void TestTensor::Set(int64_t batch, int64_t head, int64_t row, int64_t column, double value) {
  std::byte* address = storage_.data() + ByteOffset(batch, head, row, column);
  if (type_ == DataType::kBool) {
    *address = value != 0.0 ? std::byte{1} : std::byte{0};
  } else {
    kernels::StoreElements(type_, &value, 1, address);
  }
}

void TestTensor::Fill(const std::function<double()>& next) {
  ForEach(extents_, [&](int64_t b, int64_t h, int64_t r, int64_t c) { Set(b, h, r, c, next()); });
}

std::vector<double> TestTensor::Values() const {
  std::vector<double> values;
  ForEach(extents_,
          [&](int64_t b, int64_t h, int64_t r, int64_t c) { values.push_back(At(b, h, r, c)); });
  return values;
}

std::vector<std::byte> TestTensor::RowBytes(int64_t batch, int64_t head, int64_t row) const {
  const std::byte* begin = storage_.data() + ByteOffset(batch, head, row, 0);
  return {begin, begin + static_cast<size_t>(extents_[3]) * ElementBytes(type_)};
}

bool TestTensor::GuardsIntact() const {
  std::vector<bool> is_element(storage_.size(), false);
  ForEach(extents_, [&](int64_t b, int64_t h, int64_t r, int64_t c) {
    const size_t first = ByteOffset(b, h, r, c);
    for (size_t i = 0; i < ElementBytes(type_); ++i) is_element[first + i] = true;
  });
  for (size_t i = 0; i < storage_.size(); ++i) {
    if (!is_element[i] && storage_[i] != kUntouched) return false;
  }
  return true;
}

kernels::TensorView TestTensor::view() const {
  if (!present()) return {};
  return {storage_.data() + FirstByte(type_), type_, extents_, strides_};
}

kernels::MutableTensorView TestTensor::mutable_view() {
  if (!present()) return {};
  return {storage_.data() + FirstByte(type_), type_, extents_, strides_};
}

}  // namespace attention::test
