// Attention in ten lines of Go: three words attend to each other. README.md says how to make the
// stubs.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	attentionv1 "attention/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	address := "127.0.0.1:8001"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.NewClient(address, credentials)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	client := attentionv1.NewAttentionServiceClient(connection)
	response, err := client.SelfAttention(ctx, &attentionv1.SelfAttentionRequest{
		Embeddings: &attentionv1.Tensor{Shape: []int64{3, 2}, Floats: []float32{1, 0, 0, 1, 1, 1}},
		Options:    &attentionv1.AttentionOptions{ReturnWeights: true},
	})
	if err != nil {
		log.Fatal(err)
	}
	for row := 0; row < 3; row++ {
		output := response.Output.Floats[2*row : 2*row+2]
		weights := response.Weights.Floats[3*row : 3*row+3]
		fmt.Printf("output %.6f weights %.6f\n", output, weights)
	}
}
