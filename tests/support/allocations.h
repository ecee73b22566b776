// Counts what a program allocates, and lets allocations fail. Linking this replaces malloc and
// aligned_alloc (and with them operator new) for the whole program, except under sanitizers, which
// have allocators of their own.

#ifndef ATTENTION_TESTS_SUPPORT_ALLOCATIONS_H_
#define ATTENTION_TESTS_SUPPORT_ALLOCATIONS_H_

#include <cstddef>
#include <cstdint>

namespace attention::test {

// Whether allocations are counted, and can fail, in this build.
[[nodiscard]] bool CountsAllocations();

// How many allocations of at least so many bytes, a power of two, there were so far, in all
// threads. (oneDNN allocates a short list of operands for each product, so only larger ones tell of
// ours.)
[[nodiscard]] int64_t AllocationCount(size_t least_bytes);

// Bytes that are allocated at present, by all threads.
[[nodiscard]] int64_t AllocatedBytes();

// While it lives, allocations of at least so many bytes fail, in all threads, but for the first
// `granted_count`. At most one at a time.
class FailingAllocations {
 public:
  FailingAllocations(size_t least_bytes, int64_t granted_count);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations&) = delete;
  FailingAllocations& operator=(const FailingAllocations&) = delete;

  // Whether one has failed.
  [[nodiscard]] bool any() const;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_ALLOCATIONS_H_
