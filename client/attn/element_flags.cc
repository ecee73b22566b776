#include "client/attn/element_flags.h"

#include "CLI/CLI.hpp"
#include "client/attn/word_flag.h"

namespace attention::client {

void AddElementFlags(CLI::App* command, ArrayFormat* format, DataType* type) {
  AddWordFlag<ArrayFormat>(
      command, "--format", format,
      {{"json", ArrayFormat::kJson}, {"csv", ArrayFormat::kCsv}, {"npy", ArrayFormat::kNpy}},
      "What the input files are; told by their first bytes if not given. json: nested lists. csv: "
      "numbers separated by commas, one row a line, no header row; lines "
      "beginning with # are comments. npy: as numpy.save writes it")
      ->group("Inputs");
  AddWordFlag<DataType>(command, "--type", type,
                        {{"f32", DataType::kF32},
                         {"f64", DataType::kF64},
                         {"f16", DataType::kF16},
                         {"bf16", DataType::kBF16}},
                        "Data type to send and compute in (default f32)")
      ->group("Inputs");
}

}  // namespace attention::client
