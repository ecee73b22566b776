#include "client/send_blocks.h"

#include <cstddef>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace attention::client {
namespace {

std::vector<const void*> Addresses(const std::vector<grpc::Slice>& slices) {
  std::vector<const void*> addresses;
  for (const grpc::Slice& slice : slices) addresses.push_back(slice.begin());
  return addresses;
}

TEST(SendBlocksTest, ABlockGoesOnWhenItsLastReferenceIsGone) {
  SendBlocks& blocks = SendBlocks::OfProcess();
  const std::vector<std::byte> bytes(SendBlocks::kBlockBytes + 1, std::byte{7});
  std::vector<grpc::Slice> first;
  blocks.Copy(bytes, &first);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[1].size(), 1u);
  const std::vector<const void*> addresses = Addresses(first);
  const grpc::Slice kept = first[0];
  first.clear();

  std::vector<grpc::Slice> second;
  blocks.Copy(bytes, &second);
  EXPECT_EQ(second[0].begin(), addresses[1]);
  EXPECT_NE(second[1].begin(), addresses[0]) << "still referred to";
  EXPECT_EQ(*kept.begin(), 7);
}

TEST(SendBlocksTest, ThreadsHaveTheirOwn) {
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      const std::vector<std::byte> bytes(3 * SendBlocks::kBlockBytes, std::byte(thread));
      for (int repetition = 0; repetition < 20; ++repetition) {
        std::vector<grpc::Slice> slices;
        SendBlocks::OfProcess().Copy(bytes, &slices);
        for (const grpc::Slice& slice : slices) {
          ASSERT_EQ(*slice.begin(), thread);
          ASSERT_EQ(*(slice.end() - 1), thread);
        }
      }
    });
  }
}

}  // namespace
}  // namespace attention::client
