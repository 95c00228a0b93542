package executor_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
	"sluice/runtime/sandbox"
)

// envMode makes this test's own program behave as a function's program.
const envMode = "TEST_PROGRAM_MODE"

func TestMain(m *testing.M) {
	if mode := os.Getenv(envMode); mode != "" {
		os.Exit(program(mode))
	}
	os.Exit(m.Run())
}

// slowStart is longer than the harness's Leases.
const slowStart = 4 * time.Second

// program is a function in one of these modes:
//
//	serve   ready at the second question, until SIGTERM
//	never   serves and is never ready
//	slow    ready slowStart after it began to serve
//	wrong   knows no model of the function's name
//	exit    writes two lines and ends with status 3
//	flaky   the first Instance of the function ends as in exit, later ones serve
//	stuck   ignores SIGTERM
func program(mode string) int {
	fmt.Println("this is the log,\x1b[31m with colour")
	if mode == "flaky" {
		if err := os.Mkdir(os.Getenv("TEST_PROGRAM_MARK"), 0o700); err == nil {
			mode = "exit"
		}
	}
	if mode == "exit" {
		fmt.Fprintln(os.Stderr, "panic: no weights")
		return 3
	}
	listener, err := net.Listen("unix", os.Getenv(sandbox.EnvSocket))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	server := grpc.NewServer()
	inference.RegisterGRPCInferenceServiceServer(server, &function{mode: mode, began: time.Now()})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if mode != "stuck" {
		context.AfterFunc(ctx, server.GracefulStop)
	}
	if err := server.Serve(listener); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

type function struct {
	inference.UnimplementedGRPCInferenceServiceServer
	mode  string
	began time.Time
	asked atomic.Int32
}

func (f *function) ServerReady(context.Context, *inference.ServerReadyRequest) (*inference.ServerReadyResponse, error) {
	ready := f.asked.Add(1) > 1
	switch f.mode {
	case "never":
		ready = false
	case "slow":
		ready = time.Since(f.began) >= slowStart
	}
	return &inference.ServerReadyResponse{Ready: ready}, nil
}

func (f *function) ModelReady(_ context.Context, request *inference.ModelReadyRequest) (*inference.ModelReadyResponse, error) {
	if f.mode == "wrong" || request.GetName() != os.Getenv(sandbox.EnvFunction) {
		return nil, status.Errorf(codes.NotFound, "no model %q", request.GetName())
	}
	return &inference.ModelReadyResponse{Ready: true}, nil
}

// ModelInfer answers who it is; that is enough to see that requests arrive.
func (f *function) ModelInfer(context.Context, *inference.ModelInferRequest) (*inference.ModelInferResponse, error) {
	return &inference.ModelInferResponse{Id: filepath.Base(filepath.Dir(os.Getenv(sandbox.EnvSocket)))}, nil
}
