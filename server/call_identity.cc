#include "server/call_identity.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>

#include "absl/strings/str_cat.h"

namespace attention::server {
namespace {

// A bijection on 64 bits: distinct counters give distinct, unrelated looking ids.
// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), with
// Stafford's Mix13.
uint64_t Mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31);
}

uint64_t RandomStart() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsAllZeros(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::string NewRequestId() {
  static std::atomic<uint64_t> counter = RandomStart();
  const uint64_t id = Mix(counter.fetch_add(1, std::memory_order_relaxed));
  return absl::StrCat(absl::Hex(id, absl::kZeroPad16));
}

bool IsTraceparent(std::string_view text) {
  // 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
  constexpr size_t kLength = 55;
  if (text.size() != kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  return IsLowerHex(version) && version != "ff" && IsLowerHex(trace_id) && !IsAllZeros(trace_id) &&
         IsLowerHex(parent_id) && !IsAllZeros(parent_id) && IsLowerHex(flags);
}

TimePoint EffectiveDeadline(std::chrono::system_clock::time_point requested,
                            std::chrono::system_clock::time_point system_now, TimePoint now,
                            std::chrono::seconds longest) {
  // Compared as points first: the distance to a far one could overflow.
  if (requested >= system_now + longest) return now + longest;
  return now + std::chrono::duration_cast<TimePoint::duration>(requested - system_now);
}

}  // namespace attention::server
