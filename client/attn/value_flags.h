// Flags whose value is a file, a name or numbers. A value that is none of its kind is refused while
// the command line is parsed: "--heads: got 0, want a whole number from 1 to 1024". So is an empty
// text, which a script passes where its variable is not set. Only for files that already include
// CLI11.

#ifndef ATTENTION_CLIENT_ATTN_VALUE_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_VALUE_FLAGS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace attention::client {

// As many as the service takes. Source: the limits in proto/README.md.
inline constexpr int64_t kMaxHeadCount = 1024;

// All functions set `*value`, which outlives the command, only if the flag is given.

// A text of the kind that `type_name` names: FILE, NAME, ...
CLI::Option* AddText(CLI::App* command, const std::string& name, std::string* value,
                     const std::string& type_name, const std::string& help);

CLI::Option* AddFile(CLI::App* command, const std::string& name, std::string* value,
                     const std::string& help);

// A name that the server is asked for, which messages want in UTF-8.
CLI::Option* AddName(CLI::App* command, const std::string& name, std::string* value,
                     const std::string& help);

// Texts with commas between them, none of them empty. More of them where the flag is repeated.
CLI::Option* AddNames(CLI::App* command, const std::string& name, std::vector<std::string>* value,
                      const std::string& help);

// Numbers on the command line, or a file of them; see TensorFiles::ReadNumbers().
CLI::Option* AddNumbers(CLI::App* command, const std::string& name, std::string* value,
                        const std::string& help);

struct WholeRange {
  int64_t min = std::numeric_limits<int64_t>::min();
  int64_t max = std::numeric_limits<int64_t>::max();
};

// Of numbers with commas between them: how many there may be, and of each.
struct CountLimits {
  size_t max_count = std::numeric_limits<size_t>::max();
  WholeRange range = {};
};

// Whole numbers with commas between them.
CLI::Option* AddCounts(CLI::App* command, const std::string& name, std::vector<int64_t>* value,
                       const std::string& help, CountLimits limits = {});

// "got nothing, want FILE".
[[nodiscard]] CLI::Validator NotEmpty(const std::string& type_name);

// Of what AddFinite() and AddWhole() take. CLI11 alone takes a whole number with a leading 0 for an
// octal one, which is why the second rewrites it.
[[nodiscard]] CLI::Validator FiniteNumber(bool positive);
[[nodiscard]] CLI::Validator WholeNumber(WholeRange range);

// `Value` is double or an optional one.
template <typename Value>
CLI::Option* AddFinite(CLI::App* command, const std::string& name, Value* value,
                       const std::string& help, bool positive = false) {
  return command->add_option(name, *value, help)->transform(FiniteNumber(positive))->type_name("N");
}

// `Value` is an integer or an optional one that can hold the whole range.
template <typename Value>
CLI::Option* AddWhole(CLI::App* command, const std::string& name, Value* value, WholeRange range,
                      const std::string& help) {
  return command->add_option(name, *value, help)->transform(WholeNumber(range))->type_name("N");
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_VALUE_FLAGS_H_
