// A matrix kernel that mostly stays the same from one product to the next.

#ifndef ATTENTION_KERNELS_FUSED_SELECTED_KERNEL_H_
#define ATTENTION_KERNELS_FUSED_SELECTED_KERNEL_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {

// The kernel and the shape that it was found for: looked up only when the shape changes.
class SelectedKernel {
 public:
  absl::Status Select(const MatrixKernelShape& shape) {
    if (kernel_ != nullptr && shape == shape_) return absl::OkStatus();
    absl::StatusOr<std::shared_ptr<const MatrixKernel>> found = FindMatrixKernel(shape);
    if (!found.ok()) return found.status();
    kernel_ = *std::move(found);
    shape_ = shape;
    return absl::OkStatus();
  }
  const MatrixKernel* operator->() const { return kernel_.get(); }

 private:
  MatrixKernelShape shape_;
  std::shared_ptr<const MatrixKernel> kernel_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_SELECTED_KERNEL_H_
