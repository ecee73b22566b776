// The flags that say what becomes of a result, and what they do.

#ifndef ATTENTION_CLIENT_ATTN_RESULT_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_RESULT_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/attn/console.h"
#include "client/attn/display_flags.h"
#include "client/attn/outcome.h"
#include "client/attn/result_tensor.h"
#include "client/attn/result_text.h"
#include "client/results.h"

namespace CLI {
class App;
}

namespace attention::client {

enum class OutputFormat : uint8_t { kTable, kJson, kNpy };

struct ResultFlags {
  OutputFormat format = OutputFormat::kTable;
  std::optional<ResultTensor> tensor;                       // of --output npy; none: output
  std::string file;                                         // empty: standard output
  std::vector<std::pair<ResultTensor, std::string>> saved;  // and the file of each
  bool heat_map = false;
  ColourMode colour = ColourMode::kAuto;
  std::optional<int> decimals;  // in tables; none: as MatrixStyle has it
  bool full = false;

  // Whether the tensor is to be written by itself.
  [[nodiscard]] bool Wants(ResultTensor wanted) const;
};

// Adds --output, --tensor, --output-file and --save, for the tensors that the command can have,
// at least one.
void AddResultFlags(CLI::App* command, const std::vector<ResultTensor>& tensors,
                    ResultFlags* flags);

// Adds --precision-digits and --full.
void AddTableFlags(CLI::App* command, ResultFlags* flags);

// Whether the flags make sense together, before anything is asked of a server.
[[nodiscard]] Outcome CheckResultFlags(const ResultFlags& flags, const Console& console);

// Writes the result as the flags say.
[[nodiscard]] Outcome WriteResult(const AttentionResult& result, const ResultNames& names,
                                  const ResultFlags& flags, const Console& console);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_RESULT_FLAGS_H_
