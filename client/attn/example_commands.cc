#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/attn/commands.h"
#include "client/attn/display_flags.h"
#include "client/attn/example_report.h"
#include "client/attn/server_flags.h"
#include "client/attn/value_flags.h"
#include "client/attn/word_flag.h"
#include "client/examples/example_library.h"
#include "client/examples/example_run.h"

namespace attention::client {
namespace {

struct ExampleFlags {
  ServerFlags server;
  std::string name;
  DataType type = DataType::kF64;
  ColourMode colour = ColourMode::kAuto;
};

// The expected numbers are rounded to 8 decimals, which is half of the first; the second is a few
// float32 roundings of numbers up to 5.
constexpr double kFloat64Tolerance = 1e-8;
constexpr double kFloat32Tolerance = 1e-6;

Outcome RunExamples(const Console& console) {
  const absl::StatusOr<std::vector<Example>> examples = LoadExamples();
  if (!examples.ok()) return UsageError(examples.status());
  console.out << FormatExampleList(*examples);
  return {};
}

absl::StatusOr<std::vector<Example>> ChooseExamples(const std::string& name) {
  absl::StatusOr<std::vector<Example>> examples = LoadExamples();
  if (!examples.ok() || name == "all") return examples;
  std::erase_if(*examples, [&](const Example& example) { return example.name != name; });
  if (examples->empty()) {
    return absl::NotFoundError(
        absl::StrCat("no example is named ", name, "; `attn examples` lists them"));
  }
  return examples;
}

Outcome RunChosenExamples(const ExampleFlags& flags, const Console& console) {
  const absl::StatusOr<std::vector<Example>> examples = ChooseExamples(flags.name);
  if (!examples.ok()) return UsageError(examples.status());
  const double tolerance = flags.type == DataType::kF64 ? kFloat64Tolerance : kFloat32Tolerance;
  const HeatMapStyle style =
      ChooseHeatMapStyle(flags.colour, console.out_is_terminal, TerminalEnvironment::FromProcess());
  NamedServer server(flags.server);
  size_t differing_count = 0;
  std::string first_difference;
  for (const Example& example : *examples) {
    const absl::StatusOr<ExampleAnswer> answer = RunExample(example, flags.type, server.client());
    if (!answer.ok()) {
      return server.Failure(absl::Status(
          answer.status().code(), absl::StrCat(example.name, ": ", answer.status().message())));
    }
    const Comparison comparison = CompareExample(example, *answer, tolerance);
    console.out << FormatExample(example, *answer, style) << FormatComparison(comparison, tolerance)
                << "\n"
                << std::flush;
    if (comparison.differences.empty()) continue;
    if (differing_count++ == 0)
      first_difference = example.name + ": " + DifferenceText(comparison.differences[0]);
  }
  const size_t count = examples->size();
  if (count > 1) console.out << count - differing_count << " of " << count << " examples match\n";
  if (differing_count == 0) return {};
  return {ExitCode::kExample,
          absl::StrCat(differing_count, " of ", count, " examples differ by more than ", tolerance,
                       ", first ", first_difference)};
}

}  // namespace

void AddExampleCommands(CLI::App* app, const Console& console, Command* chosen) {
  CLI::App* list = app->add_subcommand("examples", "List the worked examples")->group("Examples");
  OnChosen(list, chosen, [&console] { return RunExamples(console); });

  CLI::App* run = app->add_subcommand(
      "example", "Compute worked examples on the server, explain and check them");
  run->group("Examples");
  const auto flags = std::make_shared<ExampleFlags>();
  AddText(run, "NAME", &flags->name, "NAME", "An example's name, or all")
      ->required()
      ->type_name("");
  AddWordFlag<DataType>(
      run, "--type", &flags->type, {{"f64", DataType::kF64}, {"f32", DataType::kF32}},
      "Data type to compute in: f64 (default) is compared to within 1e-8, f32 to within 1e-6");
  AddColourFlag(run, &flags->colour);
  AddServerFlags(run, &flags->server);
  run->footer(
      "Exit code 3 if a number differs.\nExamples:\n  attn example friends\n  attn example all "
      "--type f32");
  OnChosen(run, chosen, [&console, flags] { return RunChosenExamples(*flags, console); });
}

}  // namespace attention::client
