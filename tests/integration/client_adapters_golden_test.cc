// Layers with all that they can have, through a real server, against what PyTorch 2.15 and Keras
// 3.15 answered in float64 (generate_adapters_golden.py). All parameters and inputs are sines of
// whole numbers.

#include <cmath>
#include <cstdint>
#include <vector>

#include "client/adapters/keras_multi_head_attention.h"
#include "client/adapters/torch_multihead_attention.h"
#include "client/attention_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attention::client {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pointwise;

// Float64 sums of a few dozen numbers of about 1, three deep.
constexpr double kTolerance = 1e-12;

TensorValue Sines(int64_t first, Shape shape) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < ElementCount(shape).value(); ++i)
    numbers.push_back(std::sin(static_cast<double>(first + i)));
  return TensorValue::FromDoubles(DataType::kF64, std::move(shape), numbers).value();
}

TensorValue Bools(Shape shape, const std::vector<double>& numbers) {
  return TensorValue::FromDoubles(DataType::kBool, std::move(shape), numbers).value();
}

class ClientAdaptersGoldenTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new attention::testing::ServerProcess(); }
  static void TearDownTestSuite() { delete server_; }

  // Embeddings of other widths for keys and values, a mask of its own for each head, padding and a
  // zero key; sequence first.
  void ExpectTorch(const TensorValue* bias_k, const TensorValue* bias_v,
                   const std::vector<double>& output, const std::vector<double>& weights) {
    const TensorValue query_weight = Sines(0, {4, 4}), key_weight = Sines(100, {4, 3}),
                      value_weight = Sines(200, {4, 5}), in_bias = Sines(300, {12}),
                      out_weight = Sines(400, {4, 4}), out_bias = Sines(500, {4});
    TorchMultiheadParameters parameters = {.num_heads = 2,
                                           .add_zero_attn = true,
                                           .q_proj_weight = query_weight.ref(),
                                           .k_proj_weight = key_weight.ref(),
                                           .v_proj_weight = value_weight.ref(),
                                           .in_proj_bias = in_bias.ref(),
                                           .out_proj_weight = out_weight.ref(),
                                           .out_proj_bias = out_bias.ref()};
    if (bias_k != nullptr) {
      parameters.bias_k = bias_k->ref();
      parameters.bias_v = bias_v->ref();
    }
    const TensorValue query = Sines(800, {3, 2, 4}), key = Sines(900, {4, 2, 3}),
                      value = Sines(1000, {4, 2, 5}), attention_mask = Sines(1100, {4, 3, 4}),
                      padding = Bools({2, 4}, {0, 0, 0, 1, 0, 1, 0, 0});
    const auto module = TorchMultiheadAttention::Create(parameters);
    ASSERT_TRUE(module.ok()) << module.status();
    const auto result = module->Forward({.query = query.ref(),
                                         .key = key.ref(),
                                         .value = value.ref(),
                                         .key_padding_mask = padding.ref(),
                                         .attn_mask = attention_mask.ref()},
                                        &client_);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->output.shape(), ElementsAre(3, 2, 4));
    EXPECT_THAT(result->output.ToDoubles(), Pointwise(DoubleNear(kTolerance), output));
    EXPECT_THAT(result->weights->ToDoubles(), Pointwise(DoubleNear(kTolerance), weights));
  }

  static attention::testing::ServerProcess* server_;
  AttentionClient client_{MakeChannel(server_->grpc_address())};
};

attention::testing::ServerProcess* ClientAdaptersGoldenTest::server_ = nullptr;

TEST_F(ClientAdaptersGoldenTest, PyTorchWithAZeroKey) {
  ExpectTorch(nullptr, nullptr,
              {-0.9118177234958661, -1.4864354045528514, 0.475549100353057,   -0.5895180336344468,
               -1.4495671715877703, 0.2109507780517994,  -1.2056727523581747, -0.08906433767669852,
               0.5683246407653335,  -2.849601493902329,  0.7774563730536221,  0.3789685299289203,
               -1.4850436770681563, 0.37793684970467245, -1.3884950078957377, -0.01704920716152114,
               1.4370187443645703,  -3.5855400192262703, 0.8708453143059216,  0.9928208838353172,
               -0.6368475514334536, -0.8864335653984491, -0.5837958210487756, 0.1953482275482952},
              {0.10229744287177533,  0.19892718604652637,
               0.22645372328163682,  0.0,
               0.4723216478000615,  //
               0.3110596906868356,   0.1581230119953574,
               0.17470645093806436,  0.0,
               0.3561108463797428,  //
               0.6345761326550317,   0.196664791435549,
               0.057213844493879264, 0.0,
               0.11154523141554003,  //
               0.10788320754501245,  0.0,
               0.28759164861469666,  0.3528933975574385,
               0.2516317462828524,  //
               0.5193897821500089,   0.0,
               0.06665789740665072,  0.08959107412935365,
               0.32436124631398683,  //
               0.2518510391546426,   0.0,
               0.28787745154333655,  0.17008604506327807,
               0.2901854642387427});
}

TEST_F(ClientAdaptersGoldenTest, PyTorchWithAnAppendedKeyBesidesTheZeroKey) {
  const TensorValue bias_k = Sines(600, {1, 1, 4}), bias_v = Sines(700, {1, 1, 4});
  ExpectTorch(&bias_k, &bias_v,
              {-0.7714493139875114, -1.166927375982688,  -0.08250807853448994, -0.1794850320906332,
               -1.3212876287876445, 0.3379916630161275,  -1.5000312232499025,  0.16870585085006334,
               0.22838009362362616, -2.0182546866155677, 0.030591845578685217, 0.5239881907087754,
               -1.0163632886981204, 0.1476525310957637,  -1.5561276445785004,  0.432379118679858,
               1.2658723782672137,  -3.331098269054803,  0.7093632266413734,   0.9494826066351914,
               -0.6257834453270971, -0.6960029142793052, -0.8438074877969971,  0.34482751106933196},
              {0.06315519891889812,
               0.12960250183478964,
               0.16804982596987816,  //
               0.0,
               0.2584506363175788,
               0.3807418369588552,  //
               0.24303697189272938,
               0.12329513264237701,
               0.13539277019207624,  //
               0.0,
               0.21379087248672862,
               0.2844842527860888,  //
               0.5816495367089918,
               0.17638694221987372,
               0.04928958160231933,  //
               0.0,
               0.09819575736037706,
               0.0944781821084379,  //
               0.0852493882328547,
               0.0,
               0.22382244627695239,  //
               0.2667713521423875,
               0.23438912172719958,
               0.18976769162060597,  //
               0.3807939564307361,
               0.0,
               0.03919421946182032,  //
               0.04868385412944996,
               0.2830276057178536,
               0.24830036426014002,  //
               0.21684984076264177,
               0.0,
               0.24081487500841903,  //
               0.13825665646973817,
               0.166669825310836,
               0.23740880244836504});
}

TEST_F(ClientAdaptersGoldenTest, KerasWithGroupedHeadsAndEveryMask) {
  const TensorValue query_kernel = Sines(0, {5, 4, 3}), query_bias = Sines(100, {4, 3}),
                    key_kernel = Sines(200, {5, 2, 3}), key_bias = Sines(300, {2, 3}),
                    value_kernel = Sines(400, {5, 2, 3}), value_bias = Sines(500, {2, 3}),
                    output_kernel = Sines(600, {4, 3, 5}), output_bias = Sines(700, {5});
  const KerasMultiHeadAttention layer = {
      .query = {.kernel = query_kernel.ref(), .bias = query_bias.ref()},
      .key = {.kernel = key_kernel.ref(), .bias = key_bias.ref()},
      .value = {.kernel = value_kernel.ref(), .bias = value_bias.ref()},
      .output = {.kernel = output_kernel.ref(), .bias = output_bias.ref()}};
  const TensorValue query = Sines(800, {2, 3, 5}), value = Sines(900, {2, 4, 5}),
                    key = Sines(1000, {2, 4, 5}),
                    value_mask = Bools({2, 4}, {1, 1, 1, 1, 1, 1, 0, 1}),
                    key_mask = Bools({2, 4}, {1, 1, 0, 1, 1, 1, 1, 1});
  std::vector<double> seen(24, 1);
  seen[4] = 0;   // [0, 1, 0]
  seen[22] = 0;  // [1, 2, 2]
  const TensorValue attention_mask = Bools({2, 3, 4}, seen);
  const auto result = CallKeras(layer,
                                {.query = query.ref(),
                                 .value = value.ref(),
                                 .key = key.ref(),
                                 .value_mask = value_mask.ref(),
                                 .key_mask = key_mask.ref(),
                                 .attention_mask = attention_mask.ref(),
                                 .use_causal_mask = true},
                                &client_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.shape(), ElementsAre(2, 3, 5));
  EXPECT_THAT(
      result->output.ToDoubles(),
      Pointwise(
          DoubleNear(kTolerance),
          std::vector<double>{
              2.660896233618254,   0.22630079619601345, -2.41635454960925,    -2.8374246660937095,
              -0.6497796300258852, 3.05937145177539,    2.2458134326650723,   -0.632535099338229,
              -2.929333778095028,  -2.5329164905861177, 3.1243442271939688,   0.34411089842055226,
              -2.752496403412006,  -3.3184712057350882, -0.8334588854193824,  0.4766442979300889,
              -0.8512097181879783, -1.396465444958757,  -0.6578172817648102,  0.6856250566038797,
              2.795966410291057,   0.4826849629221088,  -2.2743748133416712,  -2.940384875035959,
              -0.9030186429017893, 2.302731515018985,   -0.23664414949004176, -2.5584502742983335,
              -2.528029015814687,  -0.17334953879414444}));
}

}  // namespace
}  // namespace attention::client
