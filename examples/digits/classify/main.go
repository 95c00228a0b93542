// Program classify sends the held-out images of handwritten digits to the function
// digits, in small concurrent requests as different callers would, and compares every
// prediction with the plain Go reference. It ends with status 1 if one differs or the
// accuracy is below 0.95.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"sluice/examples/digits/heldout"
	"sluice/proto/gen/inference"
)

// minAccuracy is what the predictions must reach.
const minAccuracy = 0.95

type options struct {
	address     string
	images      int
	concurrency int
	apiKey      string
}

func main() {
	var given options
	flag.StringVar(&given.address, "address", "127.0.0.1:8001", "gRPC `address` that serves digits: host:port or unix:///path")
	flag.IntVar(&given.images, "images", 0, "how many of the held-out images to send; 0 sends all")
	flag.IntVar(&given.concurrency, "concurrency", 16, "how many requests to have open at once")
	flag.StringVar(&given.apiKey, "api-key", "", "API key of the tenant whose function it is")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, given, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "classify:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, given options, output io.Writer) error {
	if given.concurrency < 1 {
		return fmt.Errorf("-concurrency is %d, want 1 at least", given.concurrency)
	}
	images, err := heldout.Images()
	if err != nil {
		return err
	}
	if given.images < 0 || given.images > len(images) {
		return fmt.Errorf("-images is %d, want 0 to %d", given.images, len(images))
	}
	if given.images > 0 {
		images = images[:given.images]
	}
	connection, err := grpc.NewClient(given.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", given.address, err)
	}
	defer connection.Close()
	caller := &caller{client: inference.NewGRPCInferenceServiceClient(connection), apiKey: given.apiKey}
	classes, requests, err := caller.classify(ctx, images, given.concurrency)
	if err != nil {
		return err
	}
	fmt.Fprintf(output, "images: %d\nrequests: %d\n", len(images), requests)
	return judge(images, classes, output)
}
