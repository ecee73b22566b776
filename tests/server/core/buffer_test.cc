#include "server/core/buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>

namespace attention::server {
namespace {

TEST(BufferTest, IsAlignedTo64Bytes) {
  for (const size_t byte_count : {1, 63, 64, 65, 4097}) {
    const Buffer buffer(byte_count);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u) << byte_count;
    EXPECT_EQ(buffer.byte_count(), byte_count);
    static_cast<char*>(buffer.data())[byte_count - 1] =
        1;  // the sanitizers object if it is too short
  }
}

TEST(BufferTest, HasNoMemoryIfEmpty) {
  EXPECT_EQ(Buffer(0).data(), nullptr);
  EXPECT_EQ(Buffer().byte_count(), 0u);
}

TEST(BufferTest, ThrowsWhenThereIsNoSuchMemory) {
  EXPECT_THROW(Buffer(size_t{1} << 60), std::bad_alloc);
  // Rounding these up to the alignment would wrap around to almost nothing.
  EXPECT_THROW(Buffer(std::numeric_limits<size_t>::max()), std::bad_alloc);
  EXPECT_THROW(Buffer(std::numeric_limits<size_t>::max() - 62), std::bad_alloc);
}

TEST(BufferTest, GivesItsMemoryAway) {
  Buffer buffer(10);
  void* const bytes = buffer.Release();
  EXPECT_NE(bytes, nullptr);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.byte_count(), 0u);
  std::free(bytes);
}

TEST(BufferTest, IsEmptyOnceMovedFrom) {
  Buffer first(10);
  void* const bytes = first.data();
  Buffer second = std::move(first);
  EXPECT_EQ(first.byte_count(), 0u);  // NOLINT(bugprone-use-after-move): that is the promise
  EXPECT_EQ(first.data(), nullptr);
  first = std::move(second);
  EXPECT_EQ(first.data(), bytes);
  EXPECT_EQ(first.byte_count(), 10u);
  EXPECT_EQ(second.byte_count(), 0u);  // NOLINT(bugprone-use-after-move)
}

}  // namespace
}  // namespace attention::server
