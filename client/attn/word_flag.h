// A flag whose value is one of a few words. Only for files that already include CLI11.

#ifndef ATTENTION_CLIENT_ATTN_WORD_FLAG_H_
#define ATTENTION_CLIENT_ATTN_WORD_FLAG_H_

#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/attn/value_flags.h"

namespace attention::client {

// Sets `*value`, which outlives the command, to the meaning of the word given. Other words are
// refused.
template <typename Meaning, typename Value>
CLI::Option* AddWordFlag(CLI::App* command, const std::string& name, Value* value,
                         const std::vector<std::pair<std::string, Meaning>>& words,
                         const std::string& help) {
  std::vector<std::string> choices;
  std::string type_name;
  for (const auto& [word, meaning] : words) {
    choices.push_back(word);
    type_name += (type_name.empty() ? "" : "|") + word;
  }
  const auto set = [value, words](const std::string& given) {
    for (const auto& [word, meaning] : words) {
      if (word == given) *value = meaning;
    }
  };
  return command->add_option_function<std::string>(name, set, help)
      ->check(NotEmpty(type_name))
      ->check(CLI::IsMember(choices).description(""))
      ->type_name(type_name);
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_WORD_FLAG_H_
