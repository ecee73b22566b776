#include "client/attn/result_flags.h"

#include <algorithm>
#include <fstream>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/attn/value_flags.h"
#include "client/attn/word_flag.h"

namespace attention::client {
namespace {

constexpr int kMaxDecimals = 17;

using Words = std::vector<std::pair<std::string, ResultTensor>>;

Words WordsOf(const std::vector<ResultTensor>& tensors) {
  Words words;
  for (const NamedResultTensor& named : kResultTensors) {
    if (std::ranges::find(tensors, named.tensor) != tensors.end())
      words.emplace_back(named.word, named.tensor);
  }
  return words;
}

// "log-sum-exp=lse.npy" into its tensor and its file; throws what CLI11 reports as a usage error.
std::pair<ResultTensor, std::string> ParseSaved(const std::string& text, const Words& words) {
  const size_t equals = text.find('=');
  const auto match = std::ranges::find(words, text.substr(0, equals), &Words::value_type::first);
  if (equals == std::string::npos || match == words.end() || equals + 1 == text.size()) {
    throw CLI::ValidationError(
        "--save", text + " is not TENSOR=FILE with one of the tensors " + "that --tensor names");
  }
  return {match->second, text.substr(equals + 1)};
}

// A path that cannot be opened is wrong usage, a disk that is full is not.
Outcome WriteFile(const std::string& bytes, const std::string& path) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) return {ExitCode::kUsage, path + ": it cannot be opened for writing"};
  file << bytes << std::flush;
  if (!file) return {ExitCode::kServer, path + ": it cannot be written"};
  return {};
}

std::string Tables(const AttentionResult& result, const ResultNames& names,
                   const ResultFlags& flags, bool out_is_terminal) {
  MatrixStyle style;
  style.decimals = flags.decimals.value_or(style.decimals);
  style.heat_map_style =
      ChooseHeatMapStyle(flags.colour, out_is_terminal, TerminalEnvironment::FromProcess());
  if (flags.full) style.shown = {.rows = kOmitted, .columns = kOmitted};
  return FormatResult(result, names, flags.heat_map, style);
}

}  // namespace

bool ResultFlags::Wants(ResultTensor wanted) const {
  return (format == OutputFormat::kNpy && tensor.value_or(ResultTensor::kOutput) == wanted) ||
         std::ranges::any_of(saved, [&](const auto& save) { return save.first == wanted; });
}

void AddResultFlags(CLI::App* command, const std::vector<ResultTensor>& tensors,
                    ResultFlags* flags) {
  const Words words = WordsOf(tensors);
  const std::string& first = words.front().first;
  AddWordFlag<OutputFormat>(
      command, "--output", &flags->format,
      {{"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}, {"npy", OutputFormat::kNpy}},
      "How results are written (default table)")
      ->group("Results");
  AddWordFlag<ResultTensor>(command, "--tensor", &flags->tensor, words,
                            "Which tensor --output npy writes (default output)")
      ->group("Results");
  AddFile(command, "--output-file", &flags->file,
          "Write results there instead of to standard output")
      ->group("Results");
  command
      ->add_option_function<std::vector<std::string>>(
          "--save",
          [flags, words](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) flags->saved.push_back(ParseSaved(text, words));
          },
          absl::StrCat("Also write one tensor as a .npy file, as --save ", first, "=", first,
                       ".npy; may be repeated"))
      ->allow_extra_args(false)
      ->check(NotEmpty("TENSOR=FILE"))
      ->type_name("TENSOR=FILE")
      ->group("Results");
}

void AddTableFlags(CLI::App* command, ResultFlags* flags) {
  AddWhole(command, "--precision-digits", &flags->decimals, {.min = 0, .max = kMaxDecimals},
           absl::StrCat("Decimals in tables (default ", MatrixStyle().decimals, ")"))
      ->group("Display");
  command->add_flag("--full", flags->full, "Show large matrices whole")->group("Display");
}

Outcome CheckResultFlags(const ResultFlags& flags, const Console& console) {
  if (flags.tensor && flags.format != OutputFormat::kNpy) {
    return {ExitCode::kUsage,
            "--tensor needs --output npy; --save TENSOR=FILE goes with every output"};
  }
  const std::pair<bool, const char*> of_tables[] = {
      {flags.heat_map, "--heatmap"},
      {flags.decimals.has_value(), "--precision-digits"},
      {flags.full, "--full"}};
  for (const auto& [given, flag] : of_tables) {
    if (given && flags.format != OutputFormat::kTable)
      return {ExitCode::kUsage, absl::StrCat(flag, " needs --output table")};
  }
  if (flags.format == OutputFormat::kNpy && flags.file.empty() && console.out_is_terminal) {
    return {ExitCode::kUsage,
            "--output npy writes bytes that a terminal cannot show; name an --output-file"};
  }
  return {};
}

Outcome WriteResult(const AttentionResult& result, const ResultNames& names,
                    const ResultFlags& flags, const Console& console) {
  absl::StatusOr<std::string> text;
  switch (flags.format) {
    case OutputFormat::kTable:
      text = Tables(result, names, flags, flags.file.empty() && console.out_is_terminal);
      break;
    case OutputFormat::kJson:
      text = ResultJson(result);
      break;
    case OutputFormat::kNpy:
      text = ResultNpy(result, flags.tensor.value_or(ResultTensor::kOutput));
      break;
  }
  if (!text.ok()) return ServerError(text.status());
  for (const auto& [tensor, path] : flags.saved) {
    const absl::StatusOr<std::string> bytes = ResultNpy(result, tensor);
    if (!bytes.ok()) return ServerError(bytes.status());
    if (Outcome outcome = WriteFile(*bytes, path); outcome.code != ExitCode::kOk) return outcome;
  }
  if (!flags.file.empty()) return WriteFile(*text, flags.file);
  console.out << *text;
  return {};
}

}  // namespace attention::client
