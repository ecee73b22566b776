#include "tests/emulation/tile_instruction.h"

#include <cstring>

namespace attention::emulation {
namespace {

using Kind = TileInstruction::Kind;

// In the place of a register's number, in the last three bits of ModR/M.
constexpr int kSibFollows = 4;

// The three bytes of a VEX prefix: high bits of register numbers, inverted, and parts of the
// opcode.
struct Prefix {
  static constexpr size_t kBytes = 3;
  static constexpr uint8_t kFirstByte = 0xc4;

  explicit Prefix(const uint8_t* code)
      : first_operand_high((code[1] & 0x80) == 0),
        index_high((~code[1] >> 3) & 8),
        base_high((~code[1] >> 2) & 8),
        map(code[1] & 0x1f),
        third_operand((~code[2] >> 3) & 0xf),
        wide((code[2] & 0x84) != 0),
        implied(code[2] & 3) {}

  bool first_operand_high;  // never with tiles, of which there are eight
  int index_high;           // 0 or 8
  int base_high;            // 0 or 8
  int map;                  // 2: opcodes that begin with 0f 38
  int third_operand;        // a register's number
  bool wide;                // 64-bit operands or 256-bit vectors: never with tiles
  int implied;              // 0: no prefix, 1: 66, 2: f3, 3: f2
};

template <typename T>
int64_t ReadInteger(const uint8_t*& code) {
  T value = 0;
  std::memcpy(&value, code, sizeof(value));
  code += sizeof(value);
  return value;
}

struct MemoryOperand {
  int64_t base = 0;          // with the displacement
  int64_t scaled_index = 0;  // the stride, where the instruction takes one
};

// Reads SIB byte and displacement, and leaves `code` behind the instruction: none has immediates.
MemoryOperand ReadMemoryOperand(const Prefix& prefix, int modrm, const uint8_t*& code,
                                const GeneralRegisters& registers) {
  constexpr int kNoIndex = 4;
  constexpr int kNoBase = 5;
  const int mode = modrm >> 6;
  int base_number = modrm & 7;
  MemoryOperand operand;
  if (base_number == kSibFollows) {
    const int sib = *code++;
    const int index_number = ((sib >> 3) & 7) | prefix.index_high;
    if (index_number != kNoIndex) {
      operand.scaled_index = static_cast<int64_t>(registers[index_number] << (sib >> 6));
    }
    base_number = sib & 7;
    if (mode == 0 && base_number == kNoBase) {
      operand.base = ReadInteger<int32_t>(code);
      return operand;
    }
  } else if (mode == 0 && base_number == kNoBase) {  // beside the next instruction
    const int64_t displacement = ReadInteger<int32_t>(code);
    operand.base = static_cast<int64_t>(reinterpret_cast<uintptr_t>(code)) + displacement;
    return operand;
  }
  operand.base = static_cast<int64_t>(registers[base_number | prefix.base_high]);
  if (mode == 1) operand.base += ReadInteger<int8_t>(code);
  if (mode == 2) operand.base += ReadInteger<int32_t>(code);
  return operand;
}

struct Encoding {
  uint8_t opcode;
  int implied;
  bool memory;
  Kind kind;
};

constexpr std::array<Encoding, 8> kEncodings = {{
    {.opcode = 0x49, .implied = 0, .memory = true, .kind = Kind::kConfigure},
    {.opcode = 0x49, .implied = 1, .memory = true, .kind = Kind::kStoreConfiguration},
    {.opcode = 0x49, .implied = 0, .memory = false, .kind = Kind::kRelease},
    {.opcode = 0x49, .implied = 3, .memory = false, .kind = Kind::kZero},
    {.opcode = 0x4b, .implied = 3, .memory = true, .kind = Kind::kLoad},
    {.opcode = 0x4b, .implied = 1, .memory = true, .kind = Kind::kLoad},  // with a hint
    {.opcode = 0x4b, .implied = 2, .memory = true, .kind = Kind::kStore},
    {.opcode = 0x5c, .implied = 2, .memory = false, .kind = Kind::kMultiplyBF16},
}};

// Whether the parts that an instruction has no use for are as they must be.
bool IsValid(Kind kind, const Prefix& prefix, int modrm) {
  const int middle = (modrm >> 3) & 7;
  const int low = modrm & 7;
  switch (kind) {
    case Kind::kMultiplyBF16:
      return prefix.third_operand < TileRegisters::kCount;
    case Kind::kLoad:
    case Kind::kStore:
      return prefix.third_operand == 0 && low == kSibFollows;
    case Kind::kZero:
      return prefix.third_operand == 0 && low == 0;
    case Kind::kRelease:
      return prefix.third_operand == 0 && middle == 0 && low == 0;
    case Kind::kConfigure:
    case Kind::kStoreConfiguration:
      return prefix.third_operand == 0 && middle == 0;
  }
  return false;
}

}  // namespace

std::optional<TileInstruction> ReadTileInstruction(const uint8_t* code,
                                                   const GeneralRegisters& registers) {
  if (code[0] != Prefix::kFirstByte) return std::nullopt;
  const Prefix prefix(code);
  if (prefix.map != 2 || prefix.wide || prefix.first_operand_high) return std::nullopt;
  const uint8_t opcode = code[Prefix::kBytes];
  const int modrm = code[Prefix::kBytes + 1];
  const bool memory = (modrm >> 6) != 3;
  for (const Encoding& encoding : kEncodings) {
    if (encoding.opcode != opcode || encoding.implied != prefix.implied ||
        encoding.memory != memory || !IsValid(encoding.kind, prefix, modrm)) {
      continue;
    }
    TileInstruction instruction = {.kind = encoding.kind,
                                   .tile = (modrm >> 3) & 7,
                                   .rows = modrm & 7,
                                   .columns = prefix.third_operand};
    const uint8_t* end = code + Prefix::kBytes + 2;
    if (memory) {
      const MemoryOperand operand = ReadMemoryOperand(prefix, modrm, end, registers);
      const bool by_rows = encoding.kind == Kind::kLoad || encoding.kind == Kind::kStore;
      instruction.stride_bytes = by_rows ? operand.scaled_index : 0;
      instruction.address =
          reinterpret_cast<std::byte*>(operand.base + (by_rows ? 0 : operand.scaled_index));
    }
    instruction.length_bytes = static_cast<size_t>(end - code);
    return instruction;
  }
  return std::nullopt;
}

bool Execute(const TileInstruction& instruction, TileRegisters& tiles) {
  switch (instruction.kind) {
    case Kind::kConfigure:
      return tiles.Configure(instruction.address);
    case Kind::kStoreConfiguration:
      tiles.StoreConfiguration(instruction.address);
      return true;
    case Kind::kRelease:
      tiles.Release();
      return true;
    case Kind::kZero:
      return tiles.Zero(instruction.tile);
    case Kind::kLoad:
      return tiles.Load(instruction.tile, instruction.address, instruction.stride_bytes);
    case Kind::kStore:
      return tiles.Store(instruction.tile, instruction.address, instruction.stride_bytes);
    case Kind::kMultiplyBF16:
      return tiles.MultiplyBF16(instruction.tile, instruction.rows, instruction.columns);
  }
  return false;
}

}  // namespace attention::emulation
