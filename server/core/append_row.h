// Rows of keys and values with one more behind those of each sequence.

#ifndef ATTENTION_SERVER_CORE_APPEND_ROW_H_
#define ATTENTION_SERVER_CORE_APPEND_ROW_H_

#include <cstddef>
#include <cstdint>

namespace attention::server {

struct AppendedRow {
  const void* row = nullptr;  // `row_bytes`
  size_t row_bytes = 0;
  int64_t batch = 1;
  int64_t row_count = 0;  // of a sequence, without the appended one
};

// Turns `rows`, dense [batch, row_count], into `extended`, dense [batch, row_count + 1] with the
// appended row as the last of each sequence. Both may start at the same address; otherwise they
// must not overlap.
void AppendRow(const AppendedRow& appended, const void* rows, void* extended);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_APPEND_ROW_H_
