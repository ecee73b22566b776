// Memory that requests are sent from.

#ifndef ATTENTION_CLIENT_SEND_BLOCKS_H_
#define ATTENTION_CLIENT_SEND_BLOCKS_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "grpcpp/support/slice.h"

namespace attention::client {

// Blocks that go on to the next request when gRPC has sent them, since asking the system for new
// memory takes several times as long as copying into it. One for the process, which keeps at most
// kMostKept blocks (64 MiB). Thread safety: all methods.
class SendBlocks {
 public:
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  static constexpr size_t kMostKept = 64;

  [[nodiscard]] static SendBlocks& OfProcess();

  // Adds copies of `bytes` to `slices`, which give their blocks back when the last reference goes.
  void Copy(std::span<const std::byte> bytes, std::vector<grpc::Slice>* slices);

 private:
  using Block = std::unique_ptr<std::byte[]>;

  // gRPC may send on while the process ends, so that no destructor may run.
  ~SendBlocks() = delete;

  Block Take();
  static void GiveBack(void* block);

  std::mutex mutex_;
  std::vector<Block> kept_;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_SEND_BLOCKS_H_
