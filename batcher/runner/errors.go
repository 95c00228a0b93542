package runner

import (
	"errors"
	"fmt"
	"time"

	"sluice/batcher"
)

// The kinds of errors that Infer and the other calls end with; an error that a function answered keeps its gRPC
// status instead.
var (
	// ErrNoRoute: no such function is routed.
	ErrNoRoute = errors.New("function is not deployed")
	// ErrRequest: the function cannot take this request.
	ErrRequest = errors.New("request does not fit the function")
	// ErrQueueFull: too many requests or bytes wait for the function.
	ErrQueueFull = errors.New("queue is full")
	// ErrExpired: the deadline passed before the answer came.
	ErrExpired = errors.New("deadline passed")
	// ErrCancelled: the caller gave up.
	ErrCancelled = errors.New("request was cancelled")
	// ErrOutput: the function's answer breaks the protocol.
	ErrOutput = errors.New("function answered wrongly")
	// ErrUnavailable: the instance failed while it had the request, or none could be started.
	ErrUnavailable = errors.New("function is unavailable")
	// ErrRoute: a route or endpoint that makes no sense.
	ErrRoute = errors.New("route")
)

// shedError is what a request ends with that left the queue without being run.
func shedError(reason batcher.Reason, waited time.Duration) error {
	waited = waited.Round(time.Millisecond)
	if reason == batcher.ReasonLate {
		return fmt.Errorf("%w: after %v in the queue the function could not answer in time any more", ErrExpired, waited)
	}
	return fmt.Errorf("%w in the queue, after %v", ErrExpired, waited)
}
