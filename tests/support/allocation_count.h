// Counts what a program allocates. Linking this replaces malloc and aligned_alloc (and with them
// operator new) for the whole program, except under sanitizers, which have allocators of their own.

#ifndef ATTENTION_TESTS_SUPPORT_ALLOCATION_COUNT_H_
#define ATTENTION_TESTS_SUPPORT_ALLOCATION_COUNT_H_

#include <cstddef>
#include <cstdint>

namespace attention::test {

// Whether allocations are counted in this build.
[[nodiscard]] bool CountsAllocations();

// How many allocations of at least so many bytes, a power of two, there were so far, in all
// threads. (oneDNN allocates a short list of operands for each product, so only larger ones tell of
// ours.)
[[nodiscard]] int64_t AllocationCount(size_t least_bytes);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_ALLOCATION_COUNT_H_
