package runner

import (
	"context"
	"fmt"
	"math"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/inference"
	"sluice/proto/tensorwire"
)

// What an Instance may answer with: it runs a tenant's code, which is trusted as little as a client.
const (
	// MaxAnswerBytes bounds the answer to a Batch.
	MaxAnswerBytes = 256 << 20
	// MaxMetadataBytes bounds what a function says about its tensors.
	MaxMetadataBytes = 1 << 20
	maxHeaderBytes   = 64 << 10
)

// windowBytes is the flow-control window of a connection to an Instance: local sockets need no small one.
const windowBytes = 1 << 20

// endpoint is an Endpoint with its connection. Its lane's lock guards the fields below connection.
type endpoint struct {
	Endpoint
	connection *grpc.ClientConn
	client     inference.GRPCInferenceServiceClient
	devices    []*device // those that it shares

	// busy counts Batches that run, users those and other calls.
	busy, users int
	removed     bool
	drained     chan struct{}
}

func connect(e Endpoint) (*endpoint, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
		grpc.WithAuthority("localhost"),
		// MaxQueuedBytes bounds what is sent.
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(tensorwire.Codec{}), grpc.MaxCallRecvMsgSize(MaxAnswerBytes), grpc.MaxCallSendMsgSize(math.MaxInt32),
		),
		grpc.WithMaxHeaderListSize(maxHeaderBytes),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(windowBytes),
	}
	target := e.Target
	if e.Dial != nil {
		target = "passthrough:///" + e.Instance
		options = append(options, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return e.Dial(ctx)
		}))
	}
	connection, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to instance %s: %w", e.Instance, err)
	}
	connection.Connect()
	return &endpoint{
		Endpoint: e, connection: connection, client: inference.NewGRPCInferenceServiceClient(connection),
		drained: make(chan struct{}),
	}, nil
}

func (e *endpoint) free() int { return e.Concurrency - e.busy }

// release ends one use; the last one of a removed endpoint closes it.
func (e *endpoint) release() {
	e.users--
	e.closeIdle()
}

func (e *endpoint) remove() {
	if !e.removed {
		e.removed = true
		e.closeIdle()
	}
}

func (e *endpoint) closeIdle() {
	if e.removed && e.users == 0 {
		// Nobody is left to hear of an error.
		_ = e.connection.Close()
		close(e.drained)
	}
}

// lost says whether an error means that the Instance is gone, not that it answered.
func lost(ctx context.Context, err error) bool {
	return status.Code(err) == codes.Unavailable && ctx.Err() == nil
}
