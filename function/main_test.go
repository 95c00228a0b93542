package function_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/function"
	"sluice/proto/gen/inference"
	"sluice/test/freeport"
)

const (
	// programKey set in the environment turns the test's binary into the function program.
	programKey = "FUNCTION_TEST_PROGRAM"
	// noticed bounds waiting for what must happen.
	noticed = 20 * time.Second
)

func TestMain(m *testing.M) {
	if os.Getenv(programKey) != "" {
		function.Main(fragileDoubler{})
		return
	}
	os.Exit(m.Run())
}

// fragileDoubler loses its device when it meets the number 13.
type fragileDoubler struct{ doubler }

func (fragileDoubler) Infer(ctx context.Context, inputs function.Tensors) (function.Tensors, error) {
	values, err := inputs.Float32s("IN")
	if err == nil && values[0] == 13 {
		return nil, function.Fatal(errors.New("the device is gone"))
	}
	return doubler{}.Infer(ctx, inputs)
}

// start runs the program and returns once it is ready.
func start(t *testing.T, target, environment string) (*exec.Cmd, inference.GRPCInferenceServiceClient) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), programKey+"=1", environment)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	client := inference.NewGRPCInferenceServiceClient(connection)
	ctx, cancel := context.WithTimeout(t.Context(), noticed)
	defer cancel()
	for {
		response, err := client.ServerReady(ctx, &inference.ServerReadyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if response.GetReady() {
			return command, client
		}
	}
}

func infer(t *testing.T, client inference.GRPCInferenceServiceClient, value float32) error {
	shape := []int64{1, 4}
	_, err := client.ModelInfer(t.Context(), &inference.ModelInferRequest{
		ModelName:        "any",
		Inputs:           []*inference.ModelInferRequest_InferInputTensor{{Name: "IN", Datatype: "FP32", Shape: shape}},
		RawInputContents: [][]byte{function.Float32Tensor("IN", shape, []float32{value, 0, 0, 0}).Data},
	})
	return err
}

func TestMainEndsWithZeroOnSIGTERM(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.sock")
	old, err := net.Listen("unix", path) // what a killed process leaves
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = old.Close()

	command, client := start(t, "unix://"+path, "SLUICE_FUNCTION_SOCKET="+path)
	if err := infer(t, client, 1); err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("the program ended with %v", err)
	}
}

func TestMainEndsWithOneAfterAFatalError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.sock")
	command, client := start(t, "unix://"+path, "SLUICE_FUNCTION_SOCKET="+path)
	if err := infer(t, client, 13); status.Code(err) != codes.Unavailable {
		t.Fatalf("answer is %v, want UNAVAILABLE", err)
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the program ended with %v, want status 1", err)
	}
}

func TestMainServesOnPORT(t *testing.T) {
	port, err := freeport.Find()
	if err != nil {
		t.Fatal(err)
	}
	_, client := start(t, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("PORT=%d", port))
	if err := infer(t, client, 1); err != nil {
		t.Fatal(err)
	}
}

func TestConfigFromEnvironmentNamesWhatIsWrong(t *testing.T) {
	t.Setenv("SLUICE_FUNCTION_SOCKET", "")
	for _, port := range []string{"", "x", "70000", "-1"} {
		t.Setenv("PORT", port)
		if config, err := function.ConfigFromEnvironment(); err == nil {
			t.Errorf("PORT %q gave %v", port, config)
		}
	}
}
