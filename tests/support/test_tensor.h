// Tensors that own their storage, for tests: any type and layout, with guards that notice stray
// writes.

#ifndef ATTENTION_TESTS_SUPPORT_TEST_TENSOR_H_
#define ATTENTION_TESTS_SUPPORT_TEST_TENSOR_H_

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/tensor_view.h"

namespace attention::test {

enum class Layout : uint8_t {
  kDense,          // [batch, head, row, column]
  kSequenceFirst,  // [batch, row, head, column]
  kPadded,         // dense, with unused elements after each row
};

// Copies are deep. The data is aligned to its element's size and to nothing more. All bytes, those
// of unused elements included, start as 0xA5.
class TestTensor {
 public:
  TestTensor() = default;  // absent
  TestTensor(kernels::DataType type, const kernels::Extents& extents,
             Layout layout = Layout::kDense);

  // A mask that is the same along the axes for which `broadcast` is true.
  static TestTensor Mask(kernels::DataType type, const kernels::Extents& extents,
                         const std::array<bool, 4>& broadcast);

  [[nodiscard]] bool present() const { return !storage_.empty(); }
  [[nodiscard]] kernels::DataType type() const { return type_; }
  [[nodiscard]] const kernels::Extents& extents() const { return extents_; }

  [[nodiscard]] double At(int64_t batch, int64_t head, int64_t row, int64_t column) const;
  void Set(int64_t batch, int64_t head, int64_t row, int64_t column, double value);

  // Sets every element to the next value of `next`, in order of indices.
  void Fill(const std::function<double()>& next);

  // All elements in order of indices.
  [[nodiscard]] std::vector<double> Values() const;

  // The bytes of the elements [batch, head, row, :].
  [[nodiscard]] std::vector<std::byte> RowBytes(int64_t batch, int64_t head, int64_t row) const;

  // Everything, guards and unused elements included.
  [[nodiscard]] const std::vector<std::byte>& storage() const { return storage_; }

  // Whether all bytes outside the elements are still as they were.
  [[nodiscard]] bool GuardsIntact() const;

  [[nodiscard]] kernels::TensorView view() const;
  [[nodiscard]] kernels::MutableTensorView mutable_view();

 private:
  TestTensor(kernels::DataType type, const kernels::Extents& extents,
             const kernels::Extents& strides, int64_t element_count);
  [[nodiscard]] size_t ByteOffset(int64_t batch, int64_t head, int64_t row, int64_t column) const;

  kernels::DataType type_ = kernels::DataType::kF32;
  kernels::Extents extents_ = {0, 0, 0, 0};
  kernels::Extents strides_ = {0, 0, 0, 0};
  std::vector<std::byte> storage_;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_TEST_TENSOR_H_
