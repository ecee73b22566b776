#include "server/core/append_row.h"

#include <cstring>

namespace attention::server {

void AppendRow(const AppendedRow& appended, const void* rows, void* extended) {
  const auto* const source = static_cast<const std::byte*>(rows);
  auto* const target = static_cast<std::byte*>(extended);
  const size_t sequence_bytes = static_cast<size_t>(appended.row_count) * appended.row_bytes;
  // From the last: in place, a sequence moves to where later ones have been.
  for (int64_t entry = appended.batch - 1; entry >= 0; --entry) {
    const auto index = static_cast<size_t>(entry);
    std::byte* const to = target + index * (sequence_bytes + appended.row_bytes);
    if (sequence_bytes > 0) std::memmove(to, source + index * sequence_bytes, sequence_bytes);
    std::memcpy(to + sequence_bytes, appended.row, appended.row_bytes);
  }
}

}  // namespace attention::server
