// AMX with BF16 for programs that run with this library in LD_PRELOAD, on processors that have
// AVX-512 with BF16 but no tile registers: for tests, some hundred times slower than the real
// thing. On any other processor the library does nothing.
//
// - The instructions are illegal there: SIGILL executes them and goes on behind them.
// - The matrix library must believe that they are there. Its instructions that ask the processor
//   are replaced in memory by an illegal one as long, which is answered in SIGILL too. Where they
//   are was found when this was built (ATTENTION_PROCESSOR_QUERIES), and is checked here.
// - Linux gives a process the tiles' state only if asked (arch_prctl(2)); it would refuse.

#include <cpuid.h>
#include <dlfcn.h>
#include <immintrin.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/emulation/tile_instruction.h"
#include "tests/emulation/tile_registers.h"

namespace attention::emulation {
namespace {

constexpr uint64_t kTileStateBits = (1U << 17) | (1U << 18);  // of extended state: XCR0, arch_prctl

constinit thread_local TileRegisters tiles;
constinit long (*libc_syscall)(long number, ...) = nullptr;

void AnswerCpuid(greg_t* registers) {
  constexpr uint32_t kFeatures = 7;
  constexpr uint32_t kExtendedState = 0x0d;
  constexpr uint32_t kTilePalettes = 0x1d;
  constexpr uint32_t kTileMultiplication = 0x1e;
  const auto leaf = static_cast<uint32_t>(registers[REG_RAX]);
  const auto part = static_cast<uint32_t>(registers[REG_RCX]);
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  uint32_t d = 0;
  __cpuid_count(leaf, part, a, b, c, d);
  if (leaf == 0) a = std::max(a, kTileMultiplication);
  // BF16 tiles, F16 vectors, tiles, tiles of bytes: the matrix library's set of features for tiles
  // holds the second and the last too; our kernels call for neither.
  if (leaf == kFeatures && part == 0) d |= (1U << 22) | (1U << 23) | (1U << 24) | (1U << 25);
  if (leaf == kExtendedState && part == 0) a |= static_cast<uint32_t>(kTileStateBits);
  if (leaf == kTilePalettes) {
    a = b = c = d = 0;
    if (part == 0) a = 1;  // the last palette
    if (part == 1) {
      constexpr uint32_t kTileBytes = TileRegisters::kMostRows * TileRegisters::kMostRowBytes;
      a = TileRegisters::kCount * kTileBytes | (kTileBytes << 16);
      b = TileRegisters::kMostRowBytes | (uint32_t{TileRegisters::kCount} << 16);
      c = TileRegisters::kMostRows;
    }
  }
  if (leaf == kTileMultiplication) {
    a = c = d = 0;
    b = TileRegisters::kMostRows | (uint32_t{TileRegisters::kMostRowBytes} << 8);
  }
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
}

void AnswerXgetbv(greg_t* registers) {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  registers[REG_RAX] = low | static_cast<uint32_t>(kTileStateBits);
  registers[REG_RDX] = high;
}

// An instruction that asks the processor: as long as the illegal one that takes its place, or with
// a one-byte instruction that does nothing behind that.
struct Question {
  std::array<uint8_t, 3> code;
  size_t code_bytes;
  void (*answer)(greg_t* registers);
};
constexpr Question kCpuid = {{0x0f, 0xa2}, 2, AnswerCpuid};
constexpr Question kXgetbv = {{0x0f, 0x01, 0xd0}, 3, AnswerXgetbv};
constexpr std::array<uint8_t, 3> kIllegal = {0x0f, 0x0b, 0x90};

// Where one stands.
struct Query {
  const Question* question = nullptr;
  uint8_t* code = nullptr;
};

struct Queries {
  std::array<Query, 64> all = {};
  size_t count = 0;
};
constinit Queries queries;

// One, and those right behind it: a signal costs more than most of them. None changes what the
// addresses of the next are made of.
bool ExecuteTileInstructions(greg_t* registers) {
  constexpr std::array<int, 16> kOrder = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                          REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                          REG_R12, REG_R13, REG_R14, REG_R15};
  GeneralRegisters general = {};
  for (size_t i = 0; i < general.size(); ++i) {
    general[i] = static_cast<uint64_t>(registers[kOrder[i]]);
  }
  const auto* const first = reinterpret_cast<const uint8_t*>(registers[REG_RIP]);
  const uint8_t* code = first;
  for (auto instruction = ReadTileInstruction(code, general);
       instruction && Execute(*instruction, tiles);
       instruction = ReadTileInstruction(code, general)) {
    code += instruction->length_bytes;
  }
  registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(code));
  return code != first;
}

void OnIllegalInstruction(int signal, siginfo_t* /*info*/, void* context) {
  // As tile products round. The interrupted code gets its own back.
  _mm_setcsr(_MM_MASK_MASK | _MM_ROUND_NEAREST | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON);
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  for (size_t i = 0; i < queries.count; ++i) {
    const Query& query = queries.all[i];
    if (reinterpret_cast<uintptr_t>(query.code) != static_cast<uintptr_t>(registers[REG_RIP])) {
      continue;
    }
    query.question->answer(registers);
    registers[REG_RIP] += static_cast<greg_t>(query.question->code_bytes);
    return;
  }
  if (ExecuteTileInstructions(registers)) return;
  std::signal(signal, SIG_DFL);  // the instruction again, and the process ends
}

uint8_t* MatrixLibrary() {
  uint8_t* base = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* library, size_t /*bytes*/, void* found) {
        if (std::strstr(library->dlpi_name, "/libdnnl.so") == nullptr) return 0;
        *static_cast<uint8_t**>(found) = reinterpret_cast<uint8_t*>(library->dlpi_addr);
        return 1;
      },
      &base);
  return base;
}

[[noreturn]] void Fail(const char* reason) {
  std::fprintf(stderr, "emulated AMX: %s\n", reason);
  std::abort();
}

void Replace(const Query& query) {
  const auto page_bytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t code = reinterpret_cast<uintptr_t>(query.code);
  const uintptr_t first_page = code & ~(page_bytes - 1);
  const size_t bytes = query.question->code_bytes;
  if (std::memcmp(query.code, query.question->code.data(), bytes) != 0) {
    Fail("the matrix library is not the one that this was built for");
  }
  void* pages = query.code - (code - first_page);
  const size_t pages_bytes = code + bytes - first_page;
  if (mprotect(pages, pages_bytes, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
    Fail("the system lets nobody change the matrix library's code");
  }
  std::memcpy(query.code, kIllegal.data(), bytes);
  mprotect(pages, pages_bytes, PROT_READ | PROT_EXEC);
}

// Of lines as objdump writes them: "  4f25f:	cpuid".
void ReplaceQueries(uint8_t* library) {
  FILE* file = std::fopen(ATTENTION_PROCESSOR_QUERIES, "r");
  if (file == nullptr) Fail("no file " ATTENTION_PROCESSOR_QUERIES);
  unsigned long offset = 0;
  std::array<char, 16> name = {};
  while (std::fscanf(file, " %lx: %15s", &offset, name.data()) == 2) {
    const bool cpuid = std::strcmp(name.data(), "cpuid") == 0;
    const Query query = {.question = cpuid ? &kCpuid : &kXgetbv, .code = library + offset};
    if (queries.count == queries.all.size()) Fail("the matrix library asks at too many places");
    Replace(query);
    queries.all[queries.count++] = query;
  }
  if (std::feof(file) == 0 || queries.count == 0) Fail("cannot read " ATTENTION_PROCESSOR_QUERIES);
  std::fclose(file);
}

bool ProcessorLacksTilesAlone() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512bf16") && !__builtin_cpu_supports("amx-tile");
}

// Before the constructors of other libraries, which may ask (the linker's initfirst).
__attribute__((constructor)) void Start() {
  libc_syscall = reinterpret_cast<decltype(libc_syscall)>(dlsym(RTLD_NEXT, "syscall"));
  if (!ProcessorLacksTilesAlone()) return;
  uint8_t* library = MatrixLibrary();
  if (library == nullptr) return;  // a program that does not multiply matrices
  struct sigaction action = {};
  action.sa_sigaction = OnIllegalInstruction;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGILL, &action, nullptr);
  ReplaceQueries(library);
}

}  // namespace
}  // namespace attention::emulation

// In the place of the C library's, for the requests about tiles; all others go on to it.
extern "C" long syscall(long number, ...) noexcept {
  constexpr size_t kMostArguments = 6;
  std::array<long, kMostArguments> arguments = {};
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  const auto call = [&] {
    return attention::emulation::libc_syscall(number, arguments[0], arguments[1], arguments[2],
                                              arguments[3], arguments[4], arguments[5]);
  };
  if (number != SYS_arch_prctl || attention::emulation::queries.count == 0) return call();
  constexpr long kSupportedState = 0x1021;
  constexpr long kPermittedState = 0x1022;
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  if (arguments[0] == kRequestPermission && arguments[1] == kTileData) return 0;
  const long result = call();
  if (result == 0 && (arguments[0] == kSupportedState || arguments[0] == kPermittedState)) {
    *reinterpret_cast<uint64_t*>(arguments[1]) |= attention::emulation::kTileStateBits;
  }
  return result;
}
