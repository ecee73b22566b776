// Reading the instructions of AMX for BF16 from machine code.
//
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2: VEX prefixes,
// ModR/M and SIB bytes, and the pages of the instructions in tile_registers.h.

#ifndef ATTENTION_TESTS_EMULATION_TILE_INSTRUCTION_H_
#define ATTENTION_TESTS_EMULATION_TILE_INSTRUCTION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "tests/emulation/tile_registers.h"

namespace attention::emulation {

// In the order of their numbers in instructions: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15.
using GeneralRegisters = std::array<uint64_t, 16>;

struct TileInstruction {
  enum class Kind {
    kConfigure,
    kStoreConfiguration,
    kRelease,
    kZero,
    kLoad,
    kStore,
    kMultiplyBF16
  };

  Kind kind = Kind::kRelease;
  size_t length_bytes = 0;
  int tile = 0;     // what is loaded, stored or zeroed; of a product, the sums
  int rows = 0;     // of a product
  int columns = 0;  // of a product
  std::byte* address = nullptr;
  int64_t stride_bytes = 0;
};

// The instruction at `code` with these registers; nothing if it is another one or no valid one.
// Reads no byte behind the instruction.
[[nodiscard]] std::optional<TileInstruction> ReadTileInstruction(const uint8_t* code,
                                                                 const GeneralRegisters& registers);

// `false` where the processor would fault.
[[nodiscard]] bool Execute(const TileInstruction& instruction, TileRegisters& tiles);

}  // namespace attention::emulation

#endif  // ATTENTION_TESTS_EMULATION_TILE_INSTRUCTION_H_
