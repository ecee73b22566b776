#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/attn/commands.h"
#include "client/attn/server_flags.h"
#include "client/attn/value_flags.h"
#include "client/attn/word_flag.h"
#include "client/terminal/display_width.h"
#include "client/terminal/table.h"
#include "nlohmann/json.hpp"

namespace attention::client {
namespace {

using Json = nlohmann::ordered_json;

struct LayerFlags {
  ServerFlags server;
  std::string name;  // empty: all
  bool json = false;
};

std::string TypeText(const LayerInfo& layer) {
  return layer.type ? absl::AsciiStrToLower(std::string(Name(*layer.type))) : "unknown";
}

std::string HeadsText(const LayerInfo& layer) {
  if (layer.key_value_head_count == layer.head_count) return absl::StrCat(layer.head_count);
  return absl::StrCat(layer.head_count, " (", layer.key_value_head_count, " of keys and values)");
}

std::string MapText(const std::optional<LayerInfo::LinearMap>& map) {
  if (!map) return "none";
  return absl::StrCat(map->input_width, " to ", map->output_width, map->has_bias ? ", bias" : "");
}

// One line for each layer.
std::string ListText(const std::vector<LayerInfo>& layers) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const LayerInfo& layer : layers) {
    lines.emplace_back(
        Printable(layer.name),
        absl::StrCat(Printable(layer.format), ", ", TypeText(layer), ", heads ", HeadsText(layer),
                     ", queries ", MapText(layer.query), ", output ", MapText(layer.output)));
  }
  return FormatPairs(lines);
}

std::string LayerText(const LayerInfo& layer) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"name", Printable(layer.name)}, {"format", Printable(layer.format)},
      {"type", TypeText(layer)},       {"heads", HeadsText(layer)},
      {"query", MapText(layer.query)}, {"key", MapText(layer.key)},
      {"value", MapText(layer.value)}, {"output", MapText(layer.output)},
  };
  if (layer.appends_key_value) lines.emplace_back("appends", "one key and value");
  if (layer.scale) lines.emplace_back("scale", absl::StrCat(*layer.scale));
  if (!layer.sinks.empty()) lines.emplace_back("sinks", absl::StrCat(layer.sinks.size()));
  return FormatPairs(lines);
}

Json MapJson(const std::optional<LayerInfo::LinearMap>& map) {
  if (!map) return nullptr;
  return {{"input_width", map->input_width},
          {"output_width", map->output_width},
          {"has_bias", map->has_bias}};
}

Json LayerJson(const LayerInfo& layer) {
  return {{"name", layer.name},
          {"data_type", TypeText(layer)},
          {"head_count", layer.head_count},
          {"key_value_head_count", layer.key_value_head_count},
          {"format", layer.format},
          {"query", MapJson(layer.query)},
          {"key", MapJson(layer.key)},
          {"value", MapJson(layer.value)},
          {"output", MapJson(layer.output)},
          {"appends_key_value", layer.appends_key_value},
          {"scale", layer.scale ? Json(*layer.scale) : Json()},
          {"sinks", layer.sinks}};
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Outcome RunLayers(const LayerFlags& flags, const Console& console) {
  NamedServer server(flags.server);
  if (!flags.name.empty()) {
    const absl::StatusOr<LayerInfo> layer = server.client()->GetLayer(flags.name);
    if (!layer.ok()) return server.LayerFailure(layer.status());
    console.out << (flags.json ? Line(LayerJson(*layer)) : LayerText(*layer));
    return {};
  }
  const absl::StatusOr<std::vector<LayerInfo>> layers = server.client()->ListLayers();
  if (!layers.ok()) return server.Failure(layers.status());
  if (flags.json) {
    Json list = Json::array();
    for (const LayerInfo& layer : *layers) list.push_back(LayerJson(layer));
    console.out << Line(list);
  } else if (layers->empty()) {
    console.out << "the server has no layers (--layers-directory)\n";
  } else {
    console.out << ListText(*layers);
  }
  return {};
}

}  // namespace

void AddLayerCommands(CLI::App* app, const Console& console, Command* chosen) {
  CLI::App* command =
      app->add_subcommand("layers", "The layers that --layer can name, or one of them");
  command->group("Server");
  const auto flags = std::make_shared<LayerFlags>();
  AddName(command, "name", &flags->name, "One layer, described in full");
  AddWordFlag<bool>(command, "--output", &flags->json, {{"table", false}, {"json", true}},
                    "How it is written (default table)");
  AddServerFlags(command, &flags->server);
  command->footer(
      "Examples:\n"
      "  attn layers\n"
      "  attn layers encoder.0 --output json\n"
      "  attn self --embeddings x.npy --layer encoder.0");
  OnChosen(command, chosen, [&console, flags] { return RunLayers(*flags, console); });
}

}  // namespace attention::client
