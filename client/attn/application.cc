#include "client/attn/application.h"

#include <algorithm>
#include <new>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/attn/commands.h"
#include "client/terminal/display_width.h"

namespace attention::client {
namespace {

constexpr const char* kDescription = "attn: attention computed on a server, from the command line";

constexpr const char* kFooter =
    "Inputs are files of JSON (nested lists), CSV or .npy, or - for standard input.\n"
    "`attn COMMAND --help` shows each command's flags. The server is 127.0.0.1:8001, or what\n"
    "--server or ATTN_SERVER says; `attn version` asks one only if it is named.\n"
    "\n"
    "Examples:\n"
    "  attn example friends\n"
    "  echo '[[1,0],[0,1],[1,1]]' | attn self --embeddings - --labels red,green,yellow --heatmap\n"
    "  attn self --embeddings words.json --labels The,cat,sat --top 2 --entropy --temperature 0.5\n"
    "  attn sdpa --query q.npy --key k.npy --value v.npy --causal bottom-right --output npy \\\n"
    "    > out.npy\n"
    "  attn health && attn info\n"
    "\n"
    "Exit codes: 0 success, 1 the server failed, refused the request or could not be reached,\n"
    "or memory ran out, or a result cannot be written, 2 wrong usage, 3 an example differs.";

// Sentences stay on one line: an error text from elsewhere must not look like a second one.
ExitCode Report(const Outcome& outcome, const Console& console) {
  if (outcome.code == ExitCode::kOk) return ExitCode::kOk;
  std::string sentence = outcome.sentence;
  std::ranges::replace(sentence, '\n', ' ');
  console.err << "attn: " << Printable(sentence) << std::endl;
  return outcome.code;
}

bool HasCommand(const CLI::App& app, const std::string& name) {
  const auto is_named = [&](const CLI::App* command) { return command->get_name() == name; };
  return !app.get_subcommands(is_named).empty();
}

// CLI11 reports a bad value, which may be one of the environment, before it looks for --help.
bool AsksForHelp(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return app.get_help_ptr()->count() > 0 ||
         (!commands.empty() && commands.front()->get_help_ptr()->count() > 0);
}

// What is wrong with the command line. CLI11 names arguments that nothing takes last to first, and
// not at all where a flag is missing, which may be one of them misspelt.
std::string Sentence(const CLI::ParseError& error, const CLI::App& app) {
  std::vector<std::string> unexpected = app.remaining(/*recurse=*/true);
  std::erase(unexpected, "--");
  if (unexpected.empty()) return error.what();
  const std::string sentence = absl::StrCat(
      "not expected: ",
      absl::StrJoin(unexpected, " ", [](std::string* text, const std::string& argument) {
        text->append(argument.empty() ? "\"\"" : argument);
      }));
  const bool is_all = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  return is_all ? sentence : absl::StrCat(error.what(), "; ", sentence);
}

// Parses the arguments and runs the command that they name.
Outcome Run(const std::vector<std::string>& arguments, const Console& console) {
  CLI::App app(kDescription, "attn");
  app.footer(kFooter);
  app.set_help_flag("-h,--help", "Show this and exit");
  app.require_subcommand(0, 1);
  Command chosen;
  AddAttentionCommands(&app, console, &chosen);
  AddOperatorCommands(&app, console, &chosen);
  AddExampleCommands(&app, console, &chosen);
  AddServerCommands(&app, console, &chosen);
  AddLayerCommands(&app, console, &chosen);
  if (arguments.empty() || arguments[0].empty())
    return {ExitCode::kUsage, "a command is needed; see `attn --help`"};
  if (!arguments[0].starts_with('-') && !HasCommand(app, arguments[0]))
    return {ExitCode::kUsage, "no command is named " + arguments[0] + "; see `attn --help`"};
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(),
                                       arguments.rend()));  // CLI11 wants them backwards
  } catch (const CLI::ParseError& error) {
    if (AsksForHelp(app)) {
      const auto commands = app.get_subcommands();
      console.out << (commands.empty() ? app.help() : commands.front()->help("attn"));
      return {};
    }
    return {.code = ExitCode::kUsage, .sentence = Sentence(error, app)};
  }
  if (!chosen) return {ExitCode::kUsage, "a command is needed; see `attn --help`"};
  return chosen();
}

}  // namespace

ExitCode RunAttn(const std::vector<std::string>& arguments, const Console& console) {
  Outcome outcome;
  try {
    outcome = Run(arguments, console);
  } catch (const std::bad_alloc&) {
    outcome = {ExitCode::kServer, "out of memory"};
  }
  console.out.flush();
  if (!console.out && outcome.code == ExitCode::kOk)
    outcome = {ExitCode::kServer, "standard output cannot be written"};
  return Report(outcome, console);
}

}  // namespace attention::client
