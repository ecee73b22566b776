import attention.v1.AttentionOptions;
import attention.v1.AttentionResponse;
import attention.v1.AttentionServiceGrpc;
import attention.v1.SelfAttentionRequest;
import attention.v1.Tensor;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** Attention in ten lines of Java: three words attend to each other. See README.md. */
public class Example {
  public static void main(String[] arguments) throws InterruptedException {
    String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:8001";
    ManagedChannel channel = ManagedChannelBuilder.forTarget(address)
        .usePlaintext()
        .maxInboundMessageSize(257 << 20)  // 256 MiB of tensors and a little; gRPC's is 4 MiB
        .build();
    Tensor words = Tensor.newBuilder()
        .addAllShape(List.of(3L, 2L))
        .addAllFloats(List.of(1f, 0f, 0f, 1f, 1f, 1f))
        .build();
    SelfAttentionRequest request = SelfAttentionRequest.newBuilder()
        .setEmbeddings(words)
        .setOptions(AttentionOptions.newBuilder().setReturnWeights(true))
        .build();
    try {
      AttentionResponse response = AttentionServiceGrpc.newBlockingStub(channel)
          .withDeadlineAfter(10, TimeUnit.SECONDS)
          .selfAttention(request);
      for (int row = 0; row < 3; ++row) {
        System.out.println("output" + numbers(response.getOutput(), row, 2)
            + " weights" + numbers(response.getWeights(), row, 3));
      }
    } catch (StatusRuntimeException error) {
      // One sentence: the field, what it was, what it should be.
      System.err.println(error.getMessage());
      System.exit(1);
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private static String numbers(Tensor tensor, int row, int width) {
    return tensor.getFloatsList().subList(width * row, width * (row + 1)).stream()
        .map(number -> String.format(Locale.ROOT, " %.6f", number))
        .collect(Collectors.joining());
  }
}
