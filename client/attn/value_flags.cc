#include "client/attn/value_flags.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/terminal/display_width.h"

namespace attention::client {
namespace {

std::string Refusal(const std::string& got, const std::string& want) {
  return absl::StrCat("got ", got.empty() ? "nothing" : got, ", want ", want);
}

template <typename Number>
std::optional<Number> Parse(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<int64_t> ParseWhole(std::string_view text, WholeRange range) {
  const std::optional<int64_t> number = Parse<int64_t>(text);
  return number && *number >= range.min && *number <= range.max ? number : std::nullopt;
}

std::string RangeText(WholeRange range) {
  std::string text;
  if (range.min != WholeRange().min) absl::StrAppend(&text, " from ", range.min);
  if (range.max != WholeRange().max) absl::StrAppend(&text, " to ", range.max);
  return text;
}

std::string CountsText(const CountLimits& limits) {
  std::string text;
  if (limits.max_count != CountLimits().max_count)
    absl::StrAppend(&text, "at most ", limits.max_count, " ");
  return absl::StrCat(text, "whole numbers", RangeText(limits.range), " with commas between them");
}

}  // namespace

CLI::Option* AddText(CLI::App* command, const std::string& name, std::string* value,
                     const std::string& type_name, const std::string& help) {
  return command->add_option(name, *value, help)->check(NotEmpty(type_name))->type_name(type_name);
}

CLI::Option* AddFile(CLI::App* command, const std::string& name, std::string* value,
                     const std::string& help) {
  return AddText(command, name, value, "FILE", help);
}

CLI::Option* AddName(CLI::App* command, const std::string& name, std::string* value,
                     const std::string& help) {
  const auto check = [](const std::string& text) {
    return IsUtf8(text) ? std::string() : Refusal(text, "NAME in UTF-8");
  };
  return AddText(command, name, value, "NAME", help)->check(check);
}

CLI::Option* AddNames(CLI::App* command, const std::string& name, std::vector<std::string>* value,
                      const std::string& help) {
  const auto set = [name, value](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      for (const absl::string_view part : absl::StrSplit(text, ',')) {
        if (part.empty())
          throw CLI::ValidationError(name, Refusal(text, "names with commas between them"));
        value->emplace_back(part);
      }
    }
  };
  return command->add_option_function<std::vector<std::string>>(name, set, help)
      ->allow_extra_args(false)
      ->type_name("A,B,C");
}

CLI::Option* AddNumbers(CLI::App* command, const std::string& name, std::string* value,
                        const std::string& help) {
  return AddText(command, name, value, "N,N|FILE", help);
}

CLI::Option* AddCounts(CLI::App* command, const std::string& name, std::vector<int64_t>* value,
                       const std::string& help, CountLimits limits) {
  const auto set = [name, value, limits](const std::string& text) {
    value->clear();
    for (const absl::string_view part : absl::StrSplit(text, ',')) {
      const std::optional<int64_t> number = ParseWhole({part.data(), part.size()}, limits.range);
      if (!number || value->size() == limits.max_count)
        throw CLI::ValidationError(name, Refusal(text, CountsText(limits)));
      value->push_back(*number);
    }
  };
  return command->add_option_function<std::string>(name, set, help)->type_name("N,N,N");
}

CLI::Validator NotEmpty(const std::string& type_name) {
  return {[type_name](const std::string& text) {
            return text.empty() ? Refusal(text, type_name) : std::string();
          },
          "", "not empty"};
}

CLI::Validator FiniteNumber(bool positive) {
  return {[positive](const std::string& text) {
            const std::optional<double> number = Parse<double>(text);
            const bool fits = number && std::isfinite(*number) && (!positive || *number > 0);
            if (fits) return std::string();
            return Refusal(text,
                           absl::StrCat("a finite number", positive ? " greater than 0" : ""));
          },
          "", "finite"};
}

CLI::Validator WholeNumber(WholeRange range) {
  return {[range](std::string& text) {
            const std::optional<int64_t> number = ParseWhole(text, range);
            if (!number) return Refusal(text, "a whole number" + RangeText(range));
            text = std::to_string(*number);
            return std::string();
          },
          "", "whole"};
}

}  // namespace attention::client
