package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice/examples/digits/heldout"
	"sluice/examples/digits/network"
	"sluice/examples/digits/reference"
	"sluice/proto/gen/inference"
)

// noticed bounds the start of the function; reaching it fails the test.
const noticed = time.Minute

// start builds and runs the function digits, and returns its address once it is ready.
func start(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	program, socket := filepath.Join(folder, "digits"), filepath.Join(folder, "f.sock")
	if output, err := exec.Command("go", "build", "-o", program, "sluice/examples/digits").CombinedOutput(); err != nil {
		t.Fatalf("build digits: %v\n%s", err, output)
	}
	command := exec.Command(program)
	command.Env = append(os.Environ(), "SLUICE_FUNCTION=digits", "SLUICE_FUNCTION_SOCKET="+socket)
	var log bytes.Buffer
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		if err := command.Wait(); err != nil {
			t.Errorf("digits ended with %v:\n%s", err, log.String())
		}
	})
	address := "unix://" + socket
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(t.Context(), noticed)
	defer cancel()
	for {
		ready, err := inference.NewGRPCInferenceServiceClient(connection).ServerReady(ctx, &inference.ServerReadyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if ready.GetReady() {
			return address
		}
	}
}

func TestClassifyTheHeldOutImages(t *testing.T) {
	var output bytes.Buffer
	err := run(t.Context(), options{address: start(t), concurrency: 8}, &output)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"images: 400\n", "equal to the reference: 400 of 400\n", "accuracy: 0.98"} {
		if !strings.Contains(output.String(), line) {
			t.Errorf("output lacks %q:\n%s", line, output.String())
		}
	}
}

func TestJudge(t *testing.T) {
	images, err := heldout.Images()
	if err != nil {
		t.Fatal(err)
	}
	layers, err := network.Layers()
	if err != nil {
		t.Fatal(err)
	}
	classes := make([]int64, len(images))
	for i, image := range images {
		classes[i] = int64(reference.Class(reference.Logits(layers, image.Pixels[:])))
	}
	var output bytes.Buffer
	if err := judge(images, classes, &output); err != nil {
		t.Fatal(err)
	}
	classes[7] = (classes[7] + 1) % network.Classes
	if err := judge(images, classes, &output); err == nil || !strings.Contains(output.String(), "image 7: class is") {
		t.Errorf("a wrong class: %v\n%s", err, output.String())
	}
	for i := range classes {
		images[i].Label = (int(classes[i]) + 1) % network.Classes
	}
	classes[7] = int64(reference.Class(reference.Logits(layers, images[7].Pixels[:])))
	if err := judge(images, classes, &output); err == nil || !strings.Contains(err.Error(), "accuracy is 0.0") {
		t.Errorf("a network that knows nothing: %v", err)
	}
}
