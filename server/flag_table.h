// Flags of a program that are environment variables, too.

#ifndef ATTENTION_SERVER_FLAG_TABLE_H_
#define ATTENTION_SERVER_FLAG_TABLE_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace CLI {
class App;
}

namespace attention::server {

// Takes a flag's text, or says what is wrong with it.
using Assign = std::function<absl::Status(const std::string&)>;

// Collects the flags in a CLI::App. Values are checked by `Assign`, not by CLI11's validators,
// which ignore what an environment variable got wrong. The variable of --grpc-address is
// ATTENTION_GRPC_ADDRESS.
class FlagTable {
 public:
  // The app must outlive the table, and is parsed before Apply.
  explicit FlagTable(CLI::App& app) : app_(app) {}

  // Of the flags that are added from now on.
  void Group(std::string name) { group_ = std::move(name); }

  void Add(const std::string& flag, const std::string& value_name, const std::string& description,
           const std::string& default_text, Assign assign);

  // Assigns from the parsed arguments and then, for absent flags, from `environment`, which holds
  // NAME=VALUE. The error names the flag or the variable.
  [[nodiscard]] absl::Status Apply(const std::vector<std::string>& environment);

  // Names in `environment` that look like variables of flags and are none.
  [[nodiscard]] std::vector<std::string> UnknownVariables(
      const std::vector<std::string>& environment) const;

 private:
  struct Flag {
    std::string name;
    Assign assign;
    std::string text;
  };

  CLI::App& app_;
  std::string group_;
  std::deque<Flag> flags_;  // CLI11 keeps pointers into it
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_FLAG_TABLE_H_
