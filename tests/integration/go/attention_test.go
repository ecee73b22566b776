// Stock gRPC-Go with code generated from proto/, against a server that TEST_SERVER_ADDRESS names.
// tests/integration/go_test.py generates the code, starts the server and runs this.
package integration

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	attentionv1 "attention.test/integration/attentionv1"
)

// Three tokens of width 2.
var words = [][]float64{{1, 0}, {0, 1}, {1, 1}}

func dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(
		os.Getenv("TEST_SERVER_ADDRESS"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

func callContext(t *testing.T) context.Context {
	t.Helper()
	callContext, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return callContext
}

func rawTensor(rows [][]float64) *attentionv1.Tensor {
	tensor := &attentionv1.Tensor{
		DataType: attentionv1.DataType_DATA_TYPE_F64,
		Shape:    []int64{int64(len(rows)), int64(len(rows[0]))},
	}
	for _, row := range rows {
		for _, number := range row {
			tensor.Raw = binary.LittleEndian.AppendUint64(tensor.Raw, math.Float64bits(number))
		}
	}
	return tensor
}

func floatsTensor(rows [][]float64) *attentionv1.Tensor {
	tensor := &attentionv1.Tensor{Shape: []int64{int64(len(rows)), int64(len(rows[0]))}}
	for _, row := range rows {
		for _, number := range row {
			tensor.Floats = append(tensor.Floats, float32(number))
		}
	}
	return tensor
}

func numbers(t *testing.T, tensor *attentionv1.Tensor) []float64 {
	t.Helper()
	var result []float64
	for _, number := range tensor.GetFloats() {
		result = append(result, float64(number))
	}
	for raw := tensor.GetRaw(); len(raw) > 0; raw = raw[8:] {
		result = append(result, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
	}
	return result
}

// attend is softmax(query key^T / sqrt(width)) value; with causal, key j is seen from query j on.
func attend(query, key, value [][]float64, causal bool) []float64 {
	var output []float64
	for i, queryRow := range query {
		sums := make([]float64, len(value[0]))
		total := 0.0
		for j, keyRow := range key {
			if causal && j > i {
				break
			}
			score := 0.0
			for k := range queryRow {
				score += queryRow[k] * keyRow[k]
			}
			weight := math.Exp(score / math.Sqrt(float64(len(queryRow))))
			total += weight
			for k := range sums {
				sums[k] += weight * value[j][k]
			}
		}
		for _, sum := range sums {
			output = append(output, sum/total)
		}
	}
	return output
}

func checkNear(t *testing.T, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d numbers, want %d", len(got), len(want))
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > tolerance {
			t.Errorf("element %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

func TestEveryMethodAnswersRawFloat64(t *testing.T) {
	client := attentionv1.NewAttentionServiceClient(dial(t))
	query := [][]float64{{0.5, -1}, {2, 0.25}}
	causal := &attentionv1.AttentionOptions{Causal: &attentionv1.Causal{}}
	for name, call := range map[string]func() (*attentionv1.AttentionResponse, []float64, error){
		"SelfAttention": func() (*attentionv1.AttentionResponse, []float64, error) {
			response, err := client.SelfAttention(callContext(t),
				&attentionv1.SelfAttentionRequest{Embeddings: rawTensor(words)})
			return response, attend(words, words, words, false), err
		},
		"MaskedAttention": func() (*attentionv1.AttentionResponse, []float64, error) {
			response, err := client.MaskedAttention(callContext(t),
				&attentionv1.MaskedAttentionRequest{Embeddings: rawTensor(words), Options: causal})
			return response, attend(words, words, words, true), err
		},
		"MultiHeadAttention": func() (*attentionv1.AttentionResponse, []float64, error) {
			response, err := client.MultiHeadAttention(callContext(t),
				&attentionv1.MultiHeadAttentionRequest{Query: rawTensor(query), Key: rawTensor(words)})
			return response, attend(query, words, words, false), err
		},
		"CrossAttention": func() (*attentionv1.AttentionResponse, []float64, error) {
			response, err := client.CrossAttention(callContext(t),
				&attentionv1.CrossAttentionRequest{
					QueryEmbeddings: rawTensor(query), MemoryEmbeddings: rawTensor(words)})
			return response, attend(query, words, words, false), err
		},
		"ScaledDotProductAttention": func() (*attentionv1.AttentionResponse, []float64, error) {
			response, err := client.ScaledDotProductAttention(callContext(t),
				&attentionv1.ScaledDotProductAttentionRequest{
					Query: rawTensor(query), Key: rawTensor(words), Value: rawTensor(words),
					Layout: attentionv1.Layout_LAYOUT_PACKED, HeadCount: 1})
			return response, attend(query, words, words, false), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			response, want, err := call()
			if err != nil {
				t.Fatal(err)
			}
			checkNear(t, numbers(t, response.GetOutput()), want, 1e-14)
		})
	}
}

func TestFloatsAreAnsweredInFloats(t *testing.T) {
	client := attentionv1.NewAttentionServiceClient(dial(t))
	response, err := client.SelfAttention(callContext(t), &attentionv1.SelfAttentionRequest{
		Embeddings: floatsTensor(words),
		Options:    &attentionv1.AttentionOptions{ReturnWeights: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(response.GetOutput().GetRaw()) != 0 || len(response.GetWeights().GetFloats()) != 9 {
		t.Error("the answer is not in the form of the request")
	}
	checkNear(t, numbers(t, response.GetOutput()), attend(words, words, words, false), 1e-6)
}

func TestErrorsCarryCodeAndField(t *testing.T) {
	client := attentionv1.NewAttentionServiceClient(dial(t))
	tensor := rawTensor(words)
	tensor.Shape[0] = -3
	_, err := client.SelfAttention(
		callContext(t), &attentionv1.SelfAttentionRequest{Embeddings: tensor})
	if status.Code(err) != codes.InvalidArgument ||
		!strings.Contains(err.Error(), "embeddings.shape[0]") {
		t.Errorf("got %v, want InvalidArgument that names embeddings.shape[0]", err)
	}
}

func TestHealthAndInfo(t *testing.T) {
	connection := dial(t)
	check, err := healthv1.NewHealthClient(connection).Check(callContext(t),
		&healthv1.HealthCheckRequest{Service: "attention.v1.AttentionService"})
	if err != nil || check.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %v, %v, want SERVING", check, err)
	}
	info, err := attentionv1.NewAttentionServiceClient(connection).GetServerInfo(
		callContext(t), &attentionv1.GetServerInfoRequest{})
	if err != nil || len(info.GetImplementations()) == 0 {
		t.Errorf("got %v, %v, want implementations", info, err)
	}
}
