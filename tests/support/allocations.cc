#include "tests/support/allocations.h"

#include <malloc.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <limits>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
namespace attention::test {

bool CountsAllocations() { return false; }
int64_t AllocationCount(size_t /*least_bytes*/) { return 0; }
int64_t AllocatedBytes() { return 0; }
FailingAllocations::FailingAllocations(size_t /*least_bytes*/, int64_t /*granted_count*/) {}
FailingAllocations::~FailingAllocations() = default;
bool FailingAllocations::any() const { return false; }

}  // namespace attention::test
#else

// The C library's own, under names that are not replaced.
extern "C" void* __libc_malloc(size_t bytes);
extern "C" void* __libc_memalign(size_t alignment_bytes, size_t bytes);

namespace {

constexpr size_t kNone = std::numeric_limits<size_t>::max();

// By the number of bits of the size.
std::array<std::atomic<int64_t>, 65> counts = {};

std::atomic<size_t> least_failing_bytes = kNone;
std::atomic<int64_t> granted = 0;

// Counts it; false if it must fail.
bool Grant(size_t bytes) {
  counts[static_cast<size_t>(std::bit_width(bytes))].fetch_add(1, std::memory_order_relaxed);
  return bytes < least_failing_bytes.load(std::memory_order_relaxed) || --granted >= 0;
}

void* Refuse() {
  errno = ENOMEM;
  return nullptr;
}

}  // namespace

extern "C" void* malloc(size_t bytes) noexcept {
  return Grant(bytes) ? __libc_malloc(bytes) : Refuse();
}

extern "C" void* aligned_alloc(size_t alignment_bytes, size_t bytes) noexcept {
  return Grant(bytes) ? __libc_memalign(alignment_bytes, bytes) : Refuse();
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

int64_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

FailingAllocations::FailingAllocations(size_t least_bytes, int64_t granted_count) {
  granted = granted_count;
  least_failing_bytes = least_bytes;
}

FailingAllocations::~FailingAllocations() { least_failing_bytes = kNone; }

bool FailingAllocations::any() const { return granted < 0; }

}  // namespace attention::test
#endif
