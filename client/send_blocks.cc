#include "client/send_blocks.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace attention::client {

SendBlocks& SendBlocks::OfProcess() {
  static auto& blocks = *new SendBlocks;
  return blocks;
}

void SendBlocks::Copy(std::span<const std::byte> bytes, std::vector<grpc::Slice>* slices) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kBlockBytes));
    Block block = Take();
    std::memcpy(block.get(), part.data(), part.size());
    std::byte* memory = block.release();
    slices->emplace_back(memory, part.size(), GiveBack, memory);
    bytes = bytes.subspan(part.size());
  }
}

SendBlocks::Block SendBlocks::Take() {
  {
    const std::lock_guard lock(mutex_);
    if (!kept_.empty()) {
      Block block = std::move(kept_.back());
      kept_.pop_back();
      return block;
    }
  }
  return Block(new std::byte[kBlockBytes]);
}

void SendBlocks::GiveBack(void* memory) {
  Block block(static_cast<std::byte*>(memory));
  SendBlocks& blocks = OfProcess();
  const std::lock_guard lock(blocks.mutex_);
  if (blocks.kept_.size() < kMostKept) blocks.kept_.push_back(std::move(block));
}

}  // namespace attention::client
