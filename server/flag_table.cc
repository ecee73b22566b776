#include "server/flag_table.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace attention::server {
namespace {

constexpr char kVariablePrefix[] = "ATTENTION_";

// Set by the script that runs programs in the build environment; means nothing to the server.
constexpr char kEnvironmentScriptVariable[] = "ATTENTION_ROOT";

std::string VariableOf(const std::string& flag) {
  return kVariablePrefix + absl::AsciiStrToUpper(absl::StrReplaceAll(flag.substr(2), {{"-", "_"}}));
}

std::optional<std::string> Variable(const std::vector<std::string>& environment,
                                    const std::string& name) {
  for (const std::string& entry : environment) {
    if (entry.size() > name.size() + 1 && entry[name.size()] == '=' &&
        entry.compare(0, name.size(), name) == 0) {
      return entry.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

}  // namespace

void FlagTable::Add(const std::string& flag, const std::string& value_name,
                    const std::string& description, const std::string& default_text,
                    Assign assign) {
  flags_.push_back({flag, std::move(assign), {}});
  app_.add_option(flag, flags_.back().text, absl::StrCat(description, " (", VariableOf(flag), ")"))
      ->option_text(absl::StrCat(value_name, " [", default_text, "]"))
      ->group(group_);
}

absl::Status FlagTable::Apply(const std::vector<std::string>& environment) {
  for (const Flag& flag : flags_) {
    std::string origin = flag.name;
    std::optional<std::string> text;
    if (app_.count(flag.name) > 0) {
      text = flag.text;
    } else {
      origin = VariableOf(flag.name);
      text = Variable(environment, origin);
    }
    if (!text.has_value()) continue;
    if (const absl::Status status = flag.assign(*text); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(origin, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> FlagTable::UnknownVariables(
    const std::vector<std::string>& environment) const {
  std::vector<std::string> unknown;
  for (const std::string& entry : environment) {
    const std::string name = entry.substr(0, entry.find('='));
    if (name.rfind(kVariablePrefix, 0) != 0 || name == kEnvironmentScriptVariable) continue;
    const bool known = std::any_of(flags_.begin(), flags_.end(), [&name](const Flag& flag) {
      return VariableOf(flag.name) == name;
    });
    if (!known) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace attention::server
