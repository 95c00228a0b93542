package executor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
)

// Waits between questions whether a function is ready: it is often so within milliseconds, or after many seconds.
const (
	readyPollFirst = 2 * time.Millisecond
	readyPollLast  = 100 * time.Millisecond
	readyTimeout   = 2 * time.Second // of one question
)

// errNotReady is the answer of a function that still loads.
var errNotReady = errors.New("the function says that it is not ready")

// awaitReady asks the function by the Open Inference Protocol (ServerReady, then ModelReady of the function's name)
// until it is ready, its program ends, or ctx does.
func (e *Executor) awaitReady(ctx context.Context, i *instance) error {
	connection, err := grpc.NewClient("passthrough:///"+i.id,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return i.sandbox.Dial(ctx) }),
		grpc.WithAuthority("localhost"),
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: readyPollFirst, Multiplier: 1.5, Jitter: 0.1, MaxDelay: readyPollLast},
			MinConnectTimeout: readyTimeout,
		}))
	if err != nil {
		return fmt.Errorf("connect to the function: %w", err)
	}
	defer connection.Close()
	service := inference.NewGRPCInferenceServiceClient(connection)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked := make(chan error, 1)
	e.group.Go(func() { asked <- poll(ctx, service, i.key.Function) })
	select {
	case err := <-i.exited:
		return err
	case err := <-asked:
		return err
	}
}

// poll asks until the answer is yes; when ctx ends first, the error tells the last answer.
func poll(ctx context.Context, service inference.GRPCInferenceServiceClient, function string) error {
	wait := readyPollFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			if last == nil {
				last = errNotReady
			}
			return fmt.Errorf("last answer: %w", last)
		case <-timer.C:
		}
		err := ask(ctx, service, function)
		if err == nil {
			return nil
		}
		// A question that was cut short tells less than the answer before it; the function's clock may cut it before ctx does.
		if ctx.Err() == nil && (last == nil || status.Code(err) != codes.DeadlineExceeded) {
			last = err
		}
		timer.Reset(wait)
		wait = min(wait*3/2, readyPollLast)
	}
}

func ask(ctx context.Context, service inference.GRPCInferenceServiceClient, function string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	server, err := service.ServerReady(ctx, &inference.ServerReadyRequest{})
	if err != nil {
		return err
	}
	model, err := service.ModelReady(ctx, &inference.ModelReadyRequest{Name: function})
	if err != nil {
		return err
	}
	if !server.GetReady() || !model.GetReady() {
		return errNotReady
	}
	return nil
}
