#include "kernels/onednn/matrix_kernel.h"

#include <pthread.h>

#include <mutex>
#include <new>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "kernels/instruction_set.h"
#include "kernels/onednn/tile_palette.h"
#include "oneapi/dnnl/dnnl_ukernel.hpp"

namespace attention::kernels {
namespace {

using dnnl::memory;

// What the calling thread's tile registers are configured for. Valid only within a
// MatrixKernelScope.
thread_local TilePalette current_palette;

// oneDNN's scratchpad, one for each thread, as large as the largest kernel so far needs.
void* Scratchpad(size_t bytes) {
  thread_local std::vector<std::byte> scratchpad;
  constexpr size_t kAlignmentBytes = 64;
  if (scratchpad.size() < bytes + kAlignmentBytes) scratchpad.resize(bytes + kAlignmentBytes);
  const auto address = reinterpret_cast<uintptr_t>(scratchpad.data());
  return reinterpret_cast<void*>((address + kAlignmentBytes - 1) & ~(kAlignmentBytes - 1));
}

absl::Status Failed(dnnl_status_t status) {
  return absl::InternalError(
      absl::StrCat("oneDNN could not run a matrix kernel: status ", static_cast<int>(status)));
}

class BrgemmKernel final : public MatrixKernel {
 public:
  // Throws dnnl::error.
  explicit BrgemmKernel(const MatrixKernelShape& shape) {
    const bool bf16 = shape.type == MatrixType::kBF16;
    const memory::data_type operand_type = bf16 ? memory::data_type::bf16 : memory::data_type::f32;
    brgemm_ = dnnl::ukernel::brgemm(
        shape.row_count, shape.column_count, shape.inner_count, /*batch_size=*/1, shape.a_stride,
        shape.b_stride, shape.c_stride, operand_type, operand_type, memory::data_type::f32);
    brgemm_.set_add_C(shape.accumulate);
    brgemm_.finalize();
    brgemm_.generate();
    scratchpad_bytes_ = brgemm_.get_scratchpad_size();
    if (bf16 && EffectiveInstructionLevel() == InstructionLevel::kAvx512Amx) {
      brgemm_.set_hw_context();
      palette_ = StoredTilePalette();
      dnnl::ukernel::brgemm::release_hw_context();
      current_palette = TilePalette{};
    }
  }

  absl::Status Run(const void* a, const void* b, float* c) const override {
    // The C++ functions would throw. Setting the context costs some 300 ns even if nothing changes,
    // and most kernels share one palette.
    if (!palette_.empty() && palette_ != current_palette) {
      const dnnl_status_t status = dnnl_brgemm_set_hw_context(brgemm_.get());
      if (status != dnnl_success) return Failed(status);
      current_palette = palette_;
    }
    const std::pair<memory::dim, memory::dim> offsets = {0, 0};
    const dnnl_status_t status =
        dnnl_brgemm_execute(brgemm_.get(), a, b, &offsets.first, c, Scratchpad(scratchpad_bytes_));
    return status == dnnl_success ? absl::OkStatus() : Failed(status);
  }

 private:
  dnnl::ukernel::brgemm brgemm_;
  size_t scratchpad_bytes_ = 0;
  TilePalette palette_;
};

class KernelCache {
 public:
  // Shared by the process. Never destroyed: threads may compute until it ends. A forked child may
  // compute too: while its memory is copied, nobody changes the cache or is inside oneDNN's
  // generator, which has locks of its own.
  static KernelCache& Get() {
    static KernelCache* const cache = [] {
      auto* made = new KernelCache;
      pthread_atfork([] { Get().LockForFork(); }, [] { Get().UnlockInParent(); },
                     [] { Get().MakeLocksOfChild(); });
      return made;
    }();
    return *cache;
  }

  absl::StatusOr<std::shared_ptr<const MatrixKernel>> Find(const MatrixKernelShape& shape) {
    {
      const std::shared_lock lock(mutex_);
      if (const auto found = kernels_.find(shape); found != kernels_.end()) return found->second;
    }
    try {
      auto kernel = Generate(shape);
      const std::lock_guard lock(mutex_);
      if (kernels_.size() >= kMaxMatrixKernels) kernels_.clear();  // users hold theirs
      return kernels_.try_emplace(shape, std::move(kernel)).first->second;
    } catch (const dnnl::error& error) {
      return absl::InternalError(
          absl::StrCat("oneDNN could not make a matrix kernel: ", error.what()));
    }
  }

 private:
  // Several at once. Throws dnnl::error.
  std::shared_ptr<const MatrixKernel> Generate(const MatrixKernelShape& shape) {
    const std::shared_lock lock(no_fork_);
    return std::make_shared<const BrgemmKernel>(shape);
  }

  void LockForFork() {
    no_fork_.lock();
    mutex_.lock();
  }
  void UnlockInParent() {
    mutex_.unlock();
    no_fork_.unlock();
  }
  // New ones: the system's know their holder by a number that the child does not have.
  void MakeLocksOfChild() {
    new (&no_fork_) std::shared_mutex;
    new (&mutex_) std::shared_mutex;
  }

  // The standard library's, which the thread sanitizer sees; the packaged abseil is not
  // instrumented.
  std::shared_mutex no_fork_;  // shared by those who generate; nobody takes it under mutex_
  std::shared_mutex mutex_;    // of kernels_
  // Not absl::flat_hash_map: with -fsanitize=undefined GCC 14 refuses the packaged one's constants.
  std::unordered_map<MatrixKernelShape, std::shared_ptr<const MatrixKernel>,
                     absl::Hash<MatrixKernelShape>>
      kernels_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const MatrixKernel>> FindMatrixKernel(
    const MatrixKernelShape& shape) {
  return KernelCache::Get().Find(shape);
}

MatrixKernelScope::MatrixKernelScope() { current_palette = TilePalette{}; }

MatrixKernelScope::~MatrixKernelScope() {
  // A destructor has nobody to tell, and the next scope sets its own.
  if (!current_palette.empty()) (void)dnnl_brgemm_release_hw_context();
  current_palette = TilePalette{};
}

}  // namespace attention::kernels
