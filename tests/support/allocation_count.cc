#include "tests/support/allocation_count.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
namespace attention::test {

bool CountsAllocations() { return false; }
int64_t AllocationCount(size_t /*least_bytes*/) { return 0; }

}  // namespace attention::test
#else

// The C library's own, under names that are not replaced.
extern "C" void* __libc_malloc(size_t bytes);
extern "C" void* __libc_memalign(size_t alignment_bytes, size_t bytes);

namespace {

// By the number of bits of the size.
std::array<std::atomic<int64_t>, 65> counts = {};

void Count(size_t bytes) {
  counts[static_cast<size_t>(std::bit_width(bytes))].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" void* malloc(size_t bytes) noexcept {
  Count(bytes);
  return __libc_malloc(bytes);
}

extern "C" void* aligned_alloc(size_t alignment_bytes, size_t bytes) noexcept {
  Count(bytes);
  return __libc_memalign(alignment_bytes, bytes);
}

namespace attention::test {

bool CountsAllocations() { return true; }

int64_t AllocationCount(size_t least_bytes) {
  int64_t sum = 0;
  for (auto bits = static_cast<size_t>(std::bit_width(least_bytes)); bits < counts.size(); ++bits) {
    sum += counts[bits];
  }
  return sum;
}

}  // namespace attention::test
#endif
