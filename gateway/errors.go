package gateway

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/batcher/runner"
	"sluice/gateway/sharedmemory"
	"sluice/store"
)

var (
	// ErrInvalid is the error of a request that breaks a rule of the protocol or a limit.
	ErrInvalid = errors.New("invalid request")
	// ErrUnauthenticated is the error of a call without an API key, or with one that is nobody's.
	ErrUnauthenticated = errors.New("no valid API key")
	// ErrLimit is the error of a call beyond what its tenant may; it names the limit.
	ErrLimit = errors.New("over the tenant's limit")
)

// kinds maps kinds of errors to gRPC codes; the first that fits counts.
var kinds = []struct {
	kind error
	code codes.Code
}{
	{ErrUnauthenticated, codes.Unauthenticated},
	{ErrInvalid, codes.InvalidArgument},
	{ErrLimit, codes.ResourceExhausted},
	{ErrUnserved, codes.Unimplemented},
	{sharedmemory.ErrInvalid, codes.InvalidArgument},
	{sharedmemory.ErrNotFound, codes.NotFound},
	{sharedmemory.ErrExists, codes.AlreadyExists},
	{sharedmemory.ErrDenied, codes.PermissionDenied},
	{sharedmemory.ErrLimit, codes.ResourceExhausted},
	{runner.ErrRequest, codes.InvalidArgument},
	{runner.ErrOutput, codes.Internal},
	{runner.ErrUnavailable, codes.Unavailable},
	{runner.ErrNoRoute, codes.NotFound},
	{store.ErrNotFound, codes.NotFound},
	{store.ErrUnavailable, codes.Unavailable},
	{runner.ErrQueueFull, codes.ResourceExhausted},
	{runner.ErrExpired, codes.DeadlineExceeded},
	{runner.ErrCancelled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{context.Canceled, codes.Canceled},
}

// statusOf is the gRPC status of an error: by its kind, or what the function itself answered. Anything else is ours to
// read in the log: it gives INTERNAL without details.
func statusOf(err error) *status.Status {
	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return status.New(k.code, err.Error())
		}
	}
	var function interface{ GRPCStatus() *status.Status }
	if errors.As(err, &function) {
		answered := function.GRPCStatus()
		return status.New(answered.Code(), "the function answered: "+answered.Message())
	}
	return status.New(codes.Internal, "internal error")
}

// mapErrors gives every error its status.
func (s *service) mapErrors(ctx context.Context, request any, call *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	response, err := handler(ctx, request)
	if err != nil {
		return nil, s.refuse(ctx, call.FullMethod, err).Err()
	}
	return response, nil
}

// refuse is statusOf, and logs what the caller is not told.
func (s *service) refuse(ctx context.Context, call string, err error) *status.Status {
	answer := statusOf(err)
	if answer.Code() == codes.Internal {
		s.Log.ErrorContext(ctx, "call failed", "call", call, "error", err)
	}
	return answer
}
